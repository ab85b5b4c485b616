/* A cursor that only skips; see scan.h.
 *
 * Objects and arrays are passed over 64 bytes at a time: one bit per byte for quotes,
 * backslashes and brackets; which bytes are inside strings follows from the quotes by a
 * running exclusive-or. Only brackets outside strings are looked at one by one, and a bit
 * per level remembers of which kind each was. The idea is that of simdjson's first stage
 * (Langdale, Lemire: Parsing Gigabytes of JSON per Second); without SSE2 the masks are
 * made by a plain loop. */
#include "admit/scan.h"

#include <stdint.h>
#include <string.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define BLOCK 64u

/* One bit per byte of a block. */
struct masks {
    uint64_t quote, backslash, open, close;
};

#ifdef __SSE2__
static void make_masks(const char *block, struct masks *out)
{
    const __m128i quote = _mm_set1_epi8('"');
    const __m128i backslash = _mm_set1_epi8('\\');
    /* '[' and ']' become '{' and '}' with this bit, and nothing else that matters does.
     */
    const __m128i fold = _mm_set1_epi8(0x20);
    const __m128i open = _mm_set1_epi8('{');
    const __m128i close = _mm_set1_epi8('}');
    *out = (struct masks){0, 0, 0, 0};
    for (unsigned i = 0; i < BLOCK / 16; i++) {
        __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)(block + 16 * i));
        __m128i folded = _mm_or_si128(bytes, fold);
        unsigned shift = 16 * i;
        out->quote |= (uint64_t)(unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(bytes, quote))
                      << shift;
        out->backslash |=
            (uint64_t)(unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(bytes, backslash))
            << shift;
        out->open |= (uint64_t)(unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(folded, open))
                     << shift;
        out->close |= (uint64_t)(unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(folded, close))
                      << shift;
    }
}
#else
static void make_masks(const char *block, struct masks *out)
{
    *out = (struct masks){0, 0, 0, 0};
    for (unsigned i = 0; i < BLOCK; i++) {
        uint64_t bit = (uint64_t)1 << i;
        char c = block[i];
        out->quote |= c == '"' ? bit : 0;
        out->backslash |= c == '\\' ? bit : 0;
        out->open |= c == '{' || c == '[' ? bit : 0;
        out->close |= c == '}' || c == ']' ? bit : 0;
    }
}
#endif

static bool fail(struct scan *scan, const char *problem)
{
    if (scan->problem == NULL)
        scan->problem = problem;
    return false;
}

void scan_init(struct scan *scan, struct str text)
{
    *scan = (struct scan){.at = text.p, .end = text.p + text.n};
}

static bool is_space(char c)
{
    return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

char scan_peek(struct scan *scan)
{
    while (scan->at < scan->end && is_space(*scan->at))
        scan->at++;
    return scan->at < scan->end && scan->problem == NULL ? *scan->at : '\0';
}

/* Marks the bytes that a backslash escapes. `carry`: the block before ended with one that
 * escapes our first byte. Backslashes are rare, so a loop over them is good enough. */
static uint64_t escaped_bytes(uint64_t backslash, bool *carry)
{
    uint64_t escaped = *carry ? 1 : 0;
    *carry = false;
    backslash &= ~escaped;
    while (backslash != 0) {
        unsigned at = (unsigned)__builtin_ctzll(backslash);
        backslash &= backslash - 1;
        if (at == BLOCK - 1) {
            *carry = true;
            break;
        }
        escaped |= (uint64_t)1 << (at + 1);
        backslash &= ~((uint64_t)1 << (at + 1));
    }
    return escaped;
}

/* Bit i of the result is the exclusive-or of bits 0 to i. */
static uint64_t running_xor(uint64_t bits)
{
    bits ^= bits << 1;
    bits ^= bits << 2;
    bits ^= bits << 4;
    bits ^= bits << 8;
    bits ^= bits << 16;
    bits ^= bits << 32;
    return bits;
}

struct nesting {
    uint64_t kinds[SCAN_MAX_DEPTH / 64]; /* a bit per level: 1 = an object */
    unsigned depth;
};

static bool push(struct nesting *nesting, bool is_object)
{
    if (nesting->depth == SCAN_MAX_DEPTH)
        return false;
    uint64_t bit = (uint64_t)1 << (nesting->depth % 64);
    uint64_t *word = &nesting->kinds[nesting->depth / 64];
    *word = is_object ? *word | bit : *word & ~bit;
    nesting->depth++;
    return true;
}

static bool pop(struct nesting *nesting, bool is_object)
{
    nesting->depth--;
    uint64_t bit = nesting->kinds[nesting->depth / 64] >> (nesting->depth % 64) & 1;
    return (bit != 0) == is_object;
}

/* The bytes up to the bracket that closes the first one; scan->at is on that one. */
static bool skip_nested(struct scan *scan)
{
    struct nesting nesting = {.depth = 0};
    bool carry = false;
    uint64_t in_string = 0; /* all ones: the block before ended inside a string */
    while (scan->at < scan->end) {
        size_t left = (size_t)(scan->end - scan->at);
        char tail[BLOCK];
        const char *block = scan->at;
        if (left < BLOCK) {
            memset(tail, ' ', sizeof(tail));
            memcpy(tail, scan->at, left);
            block = tail;
        }
        struct masks masks;
        make_masks(block, &masks);
        uint64_t escaped =
            masks.backslash != 0 || carry ? escaped_bytes(masks.backslash, &carry) : 0;
        uint64_t inside = running_xor(masks.quote & ~escaped) ^ in_string;
        in_string = (uint64_t)((int64_t)inside >> 63);
        /* Outside a string it would hide the quote behind it. */
        if ((masks.backslash & ~inside) != 0)
            return fail(scan, "a backslash stands outside a string");
        uint64_t brackets = (masks.open | masks.close) & ~inside;
        while (brackets != 0) {
            unsigned at = (unsigned)__builtin_ctzll(brackets);
            uint64_t bit = brackets & (~brackets + 1);
            brackets ^= bit;
            bool is_object = (block[at] & 0x20) != 0;
            if ((masks.open & bit) != 0) {
                if (!push(&nesting, is_object))
                    return fail(scan, "it is nested too deeply");
            } else if (!pop(&nesting, is_object)) {
                return fail(scan, "its brackets do not match");
            } else if (nesting.depth == 0) {
                scan->at += at + 1;
                return true;
            }
        }
        scan->at += left < BLOCK ? left : BLOCK;
    }
    return fail(scan, "it is cut off");
}

/* scan->at is behind the opening quote; afterwards behind the closing one. */
static bool skip_string(struct scan *scan, bool *ret_escaped)
{
    const char *start = scan->at;
    *ret_escaped = false;
    for (;;) {
        const char *quote = memchr(scan->at, '"', (size_t)(scan->end - scan->at));
        if (quote == NULL)
            return fail(scan, "it is cut off inside a string");
        size_t backslashes = 0;
        while (quote - backslashes > start && quote[-1 - (ptrdiff_t)backslashes] == '\\')
            backslashes++;
        scan->at = quote + 1;
        if (backslashes % 2 == 0)
            break;
    }
    *ret_escaped = memchr(start, '\\', (size_t)(scan->at - 1 - start)) != NULL;
    return true;
}

/* A number, true, false, null: whatever is not a separator. */
static bool skip_plain(struct scan *scan)
{
    const char *start = scan->at;
    while (scan->at < scan->end) {
        char c = *scan->at;
        bool plain = ascii_is_alnum(c) || c == '-' || c == '+' || c == '.';
        if (!plain)
            break;
        scan->at++;
    }
    return scan->at > start || fail(scan, "a value is missing");
}

struct str scan_value(struct scan *scan)
{
    char c = scan_peek(scan);
    const char *start = scan->at;
    bool escaped;
    bool good;
    if (c == '{' || c == '[') {
        good = skip_nested(scan);
    } else if (c == '"') {
        scan->at++;
        good = skip_string(scan, &escaped);
    } else {
        good = c != '\0' ? skip_plain(scan) : fail(scan, "it is cut off");
    }
    return good ? str_from(start, (size_t)(scan->at - start)) : str_null();
}

bool scan_open(struct scan *scan, char bracket)
{
    if (scan_peek(scan) != bracket)
        return fail(scan, "an object or array was expected");
    scan->at++;
    return true;
}

bool scan_member(struct scan *scan, bool first, struct str *ret_key, bool *ret_escaped)
{
    char c = scan_peek(scan);
    if (c == '}') {
        scan->at++;
        return false;
    }
    if (!first) {
        if (c != ',')
            return fail(scan, "a comma is missing");
        scan->at++;
        c = scan_peek(scan);
    }
    if (c != '"')
        return fail(scan, "a member's name is missing");
    const char *start = ++scan->at;
    if (!skip_string(scan, ret_escaped))
        return false;
    *ret_key = str_from(start, (size_t)(scan->at - 1 - start));
    if (scan_peek(scan) != ':')
        return fail(scan, "a colon is missing");
    scan->at++;
    return true;
}

bool scan_item(struct scan *scan, bool first)
{
    char c = scan_peek(scan);
    if (c == ']') {
        scan->at++;
        return false;
    }
    if (!first) {
        if (c != ',')
            return fail(scan, "a comma is missing");
        scan->at++;
    }
    return scan_peek(scan) != '\0' || fail(scan, "it is cut off");
}

bool scan_is_done(struct scan *scan)
{
    (void)scan_peek(scan);
    return scan->problem == NULL && scan->at == scan->end;
}
