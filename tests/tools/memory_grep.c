/* Looks for bytes in the memory of a process, as whoever gets hold of a core would.
 *
 *   memory_grep PID HEX…
 *
 * Prints how often each is found in all that the process can write to, one number a line.
 * Exit code 2 where its memory cannot be read (that takes root, or the process to be
 * dumpable), 3 for wrong arguments. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NEEDLES_MAXIMUM 32
#define NEEDLE_BYTES    512
#define PIECE           (1u << 20)

struct needle {
    unsigned char bytes[NEEDLE_BYTES];
    size_t size;
    unsigned long found;
};

static struct needle needles[NEEDLES_MAXIMUM];
static int needle_count;

static int read_needle(const char *hex, struct needle *needle)
{
    size_t digits = strlen(hex);
    if (digits < 16 || digits % 2 != 0 || digits / 2 > NEEDLE_BYTES)
        return 0;
    for (size_t i = 0; i < digits / 2; i++) {
        const char pair[3] = {hex[2 * i], hex[2 * i + 1], '\0'};
        char *end;
        needle->bytes[i] = (unsigned char)strtoul(pair, &end, 16);
        if (*end != '\0')
            return 0;
    }
    needle->size = digits / 2;
    return 1;
}

static void search(const unsigned char *data, size_t size, size_t begun)
{
    for (int i = 0; i < needle_count; i++) {
        struct needle *needle = &needles[i];
        const unsigned char *at = data;
        while ((at = memmem(at, size - (size_t)(at - data), needle->bytes,
                            needle->size)) != NULL) {
            /* What lies wholly in the overlap was counted in the piece before. */
            if ((size_t)(at - data) + needle->size > begun)
                needle->found++;
            at++;
        }
    }
}

/* Pieces overlap by a needle's length. */
static void search_range(int memory, uintmax_t from, uintmax_t to)
{
    static unsigned char piece[NEEDLE_BYTES + PIECE];
    size_t kept = 0;
    while (from < to) {
        size_t want = to - from < PIECE ? (size_t)(to - from) : PIECE;
        ssize_t n = pread(memory, piece + kept, want, (off_t)from);
        if (n <= 0)
            return; /* a guard page */
        search(piece, kept + (size_t)n, kept);
        from += (uintmax_t)n;
        size_t have = kept + (size_t)n;
        kept = have < NEEDLE_BYTES ? have : NEEDLE_BYTES;
        memmove(piece, piece + have - kept, kept);
    }
}

int main(int argc, char **argv)
{
    char name[64], line[512];
    needle_count = argc - 2;
    if (argc < 3 || needle_count > NEEDLES_MAXIMUM)
        return 3;
    for (int i = 0; i < needle_count; i++) {
        if (!read_needle(argv[2 + i], &needles[i]))
            return 3;
    }
    snprintf(name, sizeof(name), "/proc/%.20s/maps", argv[1]);
    FILE *maps = fopen(name, "re");
    snprintf(name, sizeof(name), "/proc/%.20s/mem", argv[1]);
    int memory = open(name, O_RDONLY | O_CLOEXEC);
    if (maps == NULL || memory < 0) {
        fprintf(stderr, "memory_grep: %s\n", strerror(errno));
        return 2;
    }
    while (fgets(line, sizeof(line), maps) != NULL) {
        uintmax_t from, to;
        char rights[5];
        if (sscanf(line, "%" SCNxMAX "-%" SCNxMAX " %4s", &from, &to, rights) == 3 &&
            rights[1] == 'w')
            search_range(memory, from, to);
    }
    for (int i = 0; i < needle_count; i++)
        printf("%lu\n", needles[i].found);
    fclose(maps);
    close(memory);
    return 0;
}
