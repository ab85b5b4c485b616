/* A cursor that only skips; see scan.h.
 *
 * Objects and arrays are passed over 64 bytes at a time: one bit per byte for quotes,
 * backslashes and brackets; which bytes are inside strings follows from the quotes by a
 * running exclusive-or. Only brackets outside strings are looked at one by one, but for
 * the pairs with nothing between, of which managedFields are full; and a bit per level
 * remembers of which kind each was. The idea is that of simdjson's first stage
 * (Langdale, Lemire: Parsing Gigabytes of JSON per Second); without SSE2 the masks are
 * made by a plain loop. */
#include "admit/scan.h"

#include <stdint.h>
#include <string.h>

#include "util/attr.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define BLOCK 64u

/* One bit per byte of a block. */
struct masks {
    uint64_t quote, backslash, open, close;
    uint64_t brace; /* of a bracket: it is a brace */
};

#ifdef __SSE2__
static NRW_ALWAYS_INLINE uint64_t bits_of(__m128i bytes)
{
    return (uint64_t)(unsigned)_mm_movemask_epi8(bytes);
}

static NRW_ALWAYS_INLINE uint64_t join(__m128i a, __m128i b, __m128i c, __m128i d)
{
    return bits_of(a) | bits_of(b) << 16 | bits_of(c) << 32 | bits_of(d) << 48;
}

static NRW_ALWAYS_INLINE uint64_t where(const __m128i block[4], char c)
{
    const __m128i want = _mm_set1_epi8(c);
    return join(_mm_cmpeq_epi8(block[0], want), _mm_cmpeq_epi8(block[1], want),
                _mm_cmpeq_epi8(block[2], want), _mm_cmpeq_epi8(block[3], want));
}

static void make_masks(const char *block, struct masks *out)
{
    const __m128i *from = (const __m128i *)(const void *)block;
    const __m128i bytes[4] = {_mm_loadu_si128(from), _mm_loadu_si128(from + 1),
                              _mm_loadu_si128(from + 2), _mm_loadu_si128(from + 3)};
    /* '[' and ']' become '{' and '}' with this bit, and nothing else that matters does.
     */
    const __m128i fold = _mm_set1_epi8(0x20);
    const __m128i folded[4] = {_mm_or_si128(bytes[0], fold), _mm_or_si128(bytes[1], fold),
                               _mm_or_si128(bytes[2], fold),
                               _mm_or_si128(bytes[3], fold)};
    out->quote = where(bytes, '"');
    out->backslash = where(bytes, '\\');
    out->open = where(folded, '{');
    out->close = where(folded, '}');
    /* The folding bit, shifted to where a mask is made of. */
    out->brace = join(_mm_slli_epi16(bytes[0], 2), _mm_slli_epi16(bytes[1], 2),
                      _mm_slli_epi16(bytes[2], 2), _mm_slli_epi16(bytes[3], 2));
}

/* The first quote or backslash, or the end. */
static const char *find_special(const char *at, const char *end)
{
    const __m128i quote = _mm_set1_epi8('"');
    const __m128i backslash = _mm_set1_epi8('\\');
    for (; end - at >= 16; at += 16) {
        __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)at);
        uint64_t found = bits_of(
            _mm_or_si128(_mm_cmpeq_epi8(bytes, quote), _mm_cmpeq_epi8(bytes, backslash)));
        if (found != 0)
            return at + __builtin_ctzll(found);
    }
    while (at < end && *at != '"' && *at != '\\')
        at++;
    return at;
}
#else
static void make_masks(const char *block, struct masks *out)
{
    *out = (struct masks){0, 0, 0, 0, 0};
    for (unsigned i = 0; i < BLOCK; i++) {
        uint64_t bit = (uint64_t)1 << i;
        char c = block[i];
        out->quote |= c == '"' ? bit : 0;
        out->backslash |= c == '\\' ? bit : 0;
        out->open |= c == '{' || c == '[' ? bit : 0;
        out->close |= c == '}' || c == ']' ? bit : 0;
        out->brace |= c == '{' || c == '}' ? bit : 0;
    }
}

/* The first quote or backslash, or the end. */
static const char *find_special(const char *at, const char *end)
{
    while (at < end && *at != '"' && *at != '\\')
        at++;
    return at;
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

/* Brackets that are closed by the next byte: they are balanced whatever is around them.
 * But for the first of all, which is the value's own, and where the depth might be
 * exceeded. */
static uint64_t empty_pairs(const struct masks *masks, unsigned depth)
{
    uint64_t pairs =
        masks->open & masks->close >> 1 & ~(masks->brace ^ masks->brace >> 1);
    if (depth == 0)
        pairs &= ~(uint64_t)1;
    return depth + BLOCK <= SCAN_MAX_DEPTH ? pairs | pairs << 1 : 0;
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
        brackets &= ~empty_pairs(&masks, nesting.depth);
        while (brackets != 0) {
            unsigned at = (unsigned)__builtin_ctzll(brackets);
            brackets &= brackets - 1;
            bool is_object = (masks.brace >> at & 1) != 0;
            if ((masks.open >> at & 1) != 0) {
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
    *ret_escaped = false;
    for (;;) {
        const char *special = find_special(scan->at, scan->end);
        scan->at = special < scan->end ? special + 1 : special;
        if (special < scan->end && *special == '"')
            return true;
        if (scan->at == scan->end)
            return fail(scan, "it is cut off inside a string");
        *ret_escaped = true;
        scan->at++; /* whatever it escapes */
    }
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
