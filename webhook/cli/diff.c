/* A unified diff; see diff.h. What both texts begin and end with is set aside; between
 * them the longest common subsequence is found with a table, which is small, because what
 * we change is a few lines. */
#include "cli/diff.h"

#include "cli/cli.h"
#include "util/arena.h"

#define CONTEXT   3u
#define MAX_CELLS (64u * 1024u * 1024u / sizeof(unsigned))

struct lines {
    struct str *at;
    size_t count;
};

static bool split(struct arena *arena, struct str text, struct lines *out)
{
    size_t count = 0;
    for (size_t i = 0; i < text.n; i++)
        count += text.p[i] == '\n';
    out->at = ARENA_ARRAY(arena, struct str, count + 1);
    out->count = 0;
    if (out->at == NULL)
        return false;
    size_t start = 0;
    while (start < text.n) {
        size_t end = str_index(text, start, '\n');
        out->at[out->count++] = str_from(text.p + start, end - start);
        start = end + 1;
    }
    return true;
}

struct edit {
    char sign; /* ' ', '-' or '+' */
    struct str line;
};

static void put(struct edit *edits, size_t *n, char sign, struct str line)
{
    edits[(*n)++] = (struct edit){sign, line};
}

/* The edits between a[from..a_end) and b[from..b_end), appended to `edits`. */
static bool middle(struct arena *arena, const struct lines *a, size_t a_end,
                   const struct lines *b, size_t b_end, size_t from, struct edit *edits,
                   size_t *n)
{
    size_t rows = a_end - from;
    size_t columns = b_end - from;
    if (columns + 1 > MAX_CELLS / (rows + 1))
        return false;
    size_t width = columns + 1;
    unsigned *table = ARENA_ARRAY(arena, unsigned, (rows + 1) * width);
    if (table == NULL)
        return false;
    for (size_t i = rows; i-- > 0;) {
        for (size_t k = columns; k-- > 0;) {
            unsigned down = table[(i + 1) * width + k];
            unsigned right = table[i * width + k + 1];
            table[i * width + k] = str_eq(a->at[from + i], b->at[from + k])
                                       ? table[(i + 1) * width + k + 1] + 1
                                   : down > right ? down
                                                  : right;
        }
    }
    size_t i = 0;
    size_t k = 0;
    while (i < rows || k < columns) {
        if (i < rows && k < columns && str_eq(a->at[from + i], b->at[from + k])) {
            put(edits, n, ' ', a->at[from + i]);
            i++;
            k++;
        } else if (i < rows && (k == columns ||
                                table[(i + 1) * width + k] >= table[i * width + k + 1])) {
            put(edits, n, '-', a->at[from + i++]);
        } else {
            put(edits, n, '+', b->at[from + k++]);
        }
    }
    return true;
}

static void write_hunk(struct buf *out, const struct edit *edits, size_t from, size_t to,
                       size_t old_line, size_t new_line, bool colour)
{
    size_t old_count = 0;
    size_t new_count = 0;
    for (size_t i = from; i < to; i++) {
        old_count += edits[i].sign != '+';
        new_count += edits[i].sign != '-';
    }
    buf_printf(out, "@@ -%zu,%zu +%zu,%zu @@\n", old_line, old_count, new_line,
               new_count);
    for (size_t i = from; i < to; i++) {
        NRW_AUTO_BUF struct buf line;
        buf_init(&line, 1u << 24);
        buf_char(&line, edits[i].sign);
        buf_str(&line, edits[i].line);
        if (edits[i].sign == ' ')
            cli_plain(out, buf_view(&line));
        else
            cli_paint(out, colour, edits[i].sign == '+' ? PAINT_GOOD : PAINT_ERROR,
                      buf_view(&line));
        buf_char(out, '\n');
    }
}

static void write_hunks(struct buf *out, const struct edit *edits, size_t n, bool colour)
{
    size_t i = 0;
    size_t old_line = 1;
    size_t new_line = 1;
    while (i < n) {
        size_t first = i;
        while (first < n && edits[first].sign == ' ')
            first++;
        if (first == n)
            return;
        size_t from = first > i + CONTEXT ? first - CONTEXT : i;
        old_line += from - i;
        new_line += from - i;
        size_t last = first;
        for (size_t k = first; k < n && k <= last + 2 * CONTEXT; k++) {
            if (edits[k].sign != ' ')
                last = k;
        }
        size_t to = last + 1 + CONTEXT < n ? last + 1 + CONTEXT : n;
        write_hunk(out, edits, from, to, old_line, new_line, colour);
        for (i = from; i < to; i++) {
            old_line += edits[i].sign != '+';
            new_line += edits[i].sign != '-';
        }
    }
}

bool diff_unified(struct buf *out, struct str label, struct str before, struct str after,
                  bool colour)
{
    if (str_eq(before, after))
        return true;
    NRW_AUTO_ARENA struct arena arena;
    arena_init(&arena, 512u * 1024u * 1024u);
    struct lines a;
    struct lines b;
    if (!split(&arena, before, &a) || !split(&arena, after, &b))
        return false;
    struct edit *edits = ARENA_ARRAY(&arena, struct edit, a.count + b.count + 1);
    if (edits == NULL)
        return false;
    size_t n = 0;
    size_t from = 0;
    size_t a_end = a.count;
    size_t b_end = b.count;
    while (from < a_end && from < b_end && str_eq(a.at[from], b.at[from]))
        put(edits, &n, ' ', a.at[from++]);
    while (a_end > from && b_end > from && str_eq(a.at[a_end - 1], b.at[b_end - 1])) {
        a_end--;
        b_end--;
    }
    if (!middle(&arena, &a, a_end, &b, b_end, from, edits, &n))
        return false;
    for (; a_end < a.count; a_end++)
        put(edits, &n, ' ', a.at[a_end]);
    buf_text(out, "--- ");
    cli_plain(out, label);
    buf_text(out, " (as given)\n+++ ");
    cli_plain(out, label);
    buf_text(out, " (as admitted)\n");
    write_hunks(out, edits, n, colour);
    return !out->failed;
}
