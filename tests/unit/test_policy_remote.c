/* policy/remote and policy/properties: the remote configuration as Spring makes it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "policy/remote.h"
#include "util/buf.h"
#include "util/mem.h"

/* "name=value\n" for every property ("!" after an unreadable one's), then the problem. */
static char *read_all(struct str prefix, const struct kv *data, size_t count)
{
    struct arena arena;
    arena_init(&arena, 64u << 20);
    struct remote_config config = {.known = true};
    struct remote_budget budget = {.spent = false};
    assert_true(remote_config_read(&arena, prefix, data, count, &budget, &config));
    assert_true(config.known);
    struct buf out;
    buf_init(&out, 32u << 20);
    for (size_t i = 0; i < config.prop_count; i++) {
        const struct remote_prop *prop = &config.props[i];
        buf_printf(&out, "%.*s=%.*s%s\n", STR_ARG(prop->name), STR_ARG(prop->value),
                   prop->unreadable ? "!" : "");
    }
    if (config.problem.n > 0)
        buf_printf(&out, "PROBLEM %.*s", STR_ARG(config.problem));
    if (config.limit.n > 0)
        buf_printf(&out, "LIMIT %.*s", STR_ARG(config.limit));
    char *text = buf_steal(&out, NULL);
    assert_non_null(text);
    arena_done(&arena);
    return text;
}

static void expect_data(struct str prefix, const struct kv *data, size_t count,
                        const char *want)
{
    char *got = read_all(prefix, data, count);
    assert_string_equal(got, want);
    mem_free(got);
}

static void expect_yaml(const char *yaml, const char *want)
{
    struct kv data = {STR("nvcf-api.yaml"), str_of(yaml)};
    expect_data(STR(""), &data, 1, want);
}

static void expect_told(const char *yaml, const char *what, const char *part)
{
    struct kv data = {STR("nvcf-api.yaml"), str_of(yaml)};
    char *got = read_all(STR(""), &data, 1);
    const char *told = strstr(got, what);
    if (told == NULL || strstr(told, part) == NULL)
        fail_msg("%s\n-> %s (wanted %s%s)", yaml, got, what, part);
    mem_free(got);
}

static void expect_problem(const char *yaml, const char *part)
{
    expect_told(yaml, "PROBLEM nvcf-api.yaml, ", part);
}

static void expect_limit(const char *yaml, const char *part)
{
    expect_told(yaml, "LIMIT nvcf-api.yaml, ", part);
}

static void test_flatten(void **state)
{
    (void)state;
    expect_yaml("nvcf:\n  registries:\n    recognized:\n      container:\n        ghcr:\n"
                "          name: GHCR\n          hostname: ghcr.io\n",
                "nvcf.registries.recognized.container.ghcr.name=GHCR\n"
                "nvcf.registries.recognized.container.ghcr.hostname=ghcr.io\n");
    expect_yaml("a.b:\n  c.d: 1\n  \"[x.y]\": 2\n", "a.b.c.d=1\na.b[x.y]=2\n");
    expect_yaml("a: [x, [y], {k: z}]\nb: []\nc: {}\n",
                "a[0]=x\na[1][0]=y\na[2].k=z\nb=\n");
    expect_yaml("a: {12: x, true: y, on: z, y: w}\n", "a[12]=x\na[true]=z\na.y=w\n");
    expect_yaml("a: ~\nb: yes\nc: 'yes'\nd: 0x10\ne: 1.50\nf: y\ng: 2026-01-01\n",
                "a=\nb=true\nc=yes\nd=0x10!\ne=1.50!\nf=y\ng=2026-01-01!\n");
    expect_yaml("[12:30, '12:30', 017, +1, -7, 0, 1_0, 8.8.8.8, 10-a, r:5000, 1e3]", "");
    expect_yaml("a: [12:30, '12:30', 017, +1, -7, 0, 1_0, 8.8.8.8, 10-a, r:5000, 1e3]",
                "a[0]=12:30!\na[1]=12:30\na[2]=017!\na[3]=+1!\na[4]=-7\na[5]=0\n"
                "a[6]=1_0!\na[7]=8.8.8.8\na[8]=10-a\na[9]=r:5000\na[10]=1e3!\n");
    expect_yaml("just a text\n", "");
    expect_yaml("- a\n", "");
    expect_yaml("", "");
    expect_yaml("a: !!binary aGk=\nb: !x y\n", "a=aGk=!\nb=y!\n");
    expect_yaml("a: !!int x\n", "a=x!\n");
}

static void test_documents(void **state)
{
    (void)state;
    expect_yaml("a: 1\nb: 2\n---\na: 3\n", "b=2\na=3\n");
    /* Bound to a profile: both stay. */
    expect_yaml("a: 1\n---\nspring.config.activate.on-profile: x\na: 2\n---\na: 3\n",
                "spring.config.activate.on-profile=x\na=2\na=3\n");
    expect_yaml("a: 1\n---\nspring: {profiles: x}\na: 2\n",
                "a=1\nspring.profiles=x\na=2\n");
    expect_yaml("a: 1\n---\nspring: {config: {activate: {on-profile: x}}}\na: 2\n",
                "a=1\nspring.config.activate.on-profile=x\na=2\n");
    expect_yaml("a: 1\n---\nspring: {config.activate.on-profile: x}\na: 2\n",
                "a=1\nspring.config.activate.on-profile=x\na=2\n");
}

static void test_anchors(void **state)
{
    (void)state;
    expect_yaml("x: &x {k: 1, l: {m: 2}}\ny: *x\nz: {k: 3, <<: *x}\n",
                "x.k=1\nx.l.m=2\ny.k=1\ny.l.m=2\nz.k=3\nz.l.m=2\n");
    expect_yaml("x: &x {l: {a: 1}}\nz: {<<: *x, l: {b: 2}}\n", "x.l.a=1\nz.l.b=2\n");
    expect_yaml("- &x 1\n", "");
    expect_yaml("p: &p {k: 1}\nq: &q {k: 2, m: 3}\nz: {<<: [*p, *q]}\n",
                "p.k=1\nq.k=2\nq.m=3\nz.k=1\nz.m=3\n");
    expect_problem("x: &x 1\nz: {<<: *x}\n", "line 1: << takes a map");
    expect_problem("x: &x 1\nz: {<<: [*x]}\n", "line 2: << takes a map");
    struct buf text;
    buf_init(&text, 1u << 16);
    buf_text(&text, "a0: &a0 [x, x, x, x, x, x, x, x]\n");
    for (int i = 1; i < 12; i++)
        buf_printf(&text, "a%d: &a%d [*a%d, *a%d, *a%d, *a%d]\n", i, i, i - 1, i - 1,
                   i - 1, i - 1);
    expect_limit(text.data, "too large once aliases and merge keys");
    buf_done(&text);
}

/* As SnakeYAML makes one map of several; each of these was asked of it. */
static void test_merge_order(void **state)
{
    (void)state;
    /* Within a merged map what comes first wins, its own keys or not. */
    expect_yaml("z: {<<: {<<: {k: in}, k: own}}\n", "z.k=in\n");
    expect_yaml("z: {<<: {k: own, <<: {k: in}}}\n", "z.k=own\n");
    expect_yaml("z: {<<: {<<: {k: in}, k: own}, k: z}\n", "z.k=z\n");
    expect_yaml("z: {<<: [{<<: {k: a}, k: b}, {k: c, l: d}]}\n", "z.k=a\nz.l=d\n");
    /* One that stands for itself is merged by itself before. */
    expect_yaml("p: &p {<<: {k: in}, k: own}\nz: {<<: *p}\n", "p.k=own\nz.k=own\n");
    /* A merge key within a merge is used up. */
    expect_yaml("a: &a {<<: {x: 1}}\n<<: *a\n", "x=1\n");
    expect_yaml("z: {<<: &a {<<: {x: 1}, y: 2}}\nw: *a\n", "z.x=1\nz.y=2\nw.y=2\n");
    /* Other ways to write the key. */
    expect_yaml("! <<: {a: 1}\n! \"<<\": {b: 2}\n!!merge c: {d: 3}\n", "a=1\nb=2\nd=3\n");
    expect_yaml("\"<<\": 1\n", "<<=1\n");
    expect_yaml("x: {&m <<: {a: 1}}\n*m : {b: 2}\n", "x.a=1\nb=2\n");
}

static void test_equal_keys(void **state)
{
    (void)state;
    /* The last counts, as a whole. */
    expect_yaml("a: 1\na: 2\n", "a=2\n");
    expect_yaml("a: {b: 1}\nc: 3\na: {d: 2}\n", "c=3\na.d=2\n");
    expect_yaml("z: {<<: {k: 1, k: 2}}\n", "z.k=1\n");
    expect_yaml("yes: 1\ntrue: 2\n", "[true]=2\n");
    /* 1 and "1" are two, 1 and "[1]" one, in the place of the first. */
    expect_yaml("a: {1: x, <<: {\"1\": {b: y}}}\n", "a[1]=x\na.1.b=y\n");
    expect_yaml("k: {\"[1]\": {h: x}, \"[1].h\": y, 1: {h: z, i: w}}\n",
                "k[1].i=w\nk[1].h=y\n");
    expect_yaml("o: !!omap [a: {x: 1}, b: 2, a: {y: 1}]\n", "o.a.y=1\no.b=2\n");
    expect_yaml("! \"12\": x\n", "[12]=x\n");
    /* A list goes as a whole; what is in it is in the place of the first one. */
    expect_yaml("a: x\n---\na: [y]\n", "a[0]=y\n");
    expect_yaml("a: [x]\n\"a[0]\": y\n---\na: [z]\n", "a[0]=x\na[0]=y\na[0]=z\n");
}

/* A NUL is a character to Spring, and no letter. */
static void test_nul(void **state)
{
    (void)state;
    struct kv data = {STR("a.yaml"),
                      STR("\"\\0nvcf.registries.x\": 1\n\"\\0\": {nvcf.registries.y: "
                          "2}\nnvcf: {\"regi\\0\\0stries\": {z: [3]}}\n")};
    expect_data(STR("NVCF"), &data, 1,
                "\xef\xbf\xbdnvcf.registries.x=1\n\xef\xbf\xbd.nvcf.registries.y=2\n"
                "nvcf.regi\xef\xbf\xbd\xef\xbf\xbdstries.z[0]=3\n");
    data = (struct kv){STR("a.properties"), STR("\\u0000nvcf.registries.x=1\n")};
    expect_data(STR("NVCF"), &data, 1, "\xef\xbf\xbdnvcf.registries.x=1\n");
    /* A name of blanks is none. */
    expect_yaml("' ': {a: 1, 2: 3}\n", "a=1\n[2]=3\n");
}

/* What is said of the place, and what it says: "first", "below", "last", "unclear". */
static const char *rank_of(const struct kv *data, size_t count)
{
    struct arena arena;
    arena_init(&arena, 64u << 20);
    struct remote_config config = {.known = true};
    struct remote_budget budget = {.spent = false};
    assert_true(remote_config_read(&arena, STR("NVCF"), data, count, &budget, &config));
    arena_done(&arena);
    return config.rank_unclear           ? "unclear"
           : config.rank == REMOTE_FIRST ? "first"
           : config.rank == REMOTE_BELOW ? "below"
                                         : "last";
}

#define NONE "spring.cloud.config.override-none: "

static void test_rank(void **state)
{
    (void)state;
    static const struct {
        const char *yaml, *want;
    } texts[] = {
        {NONE "true\n", "last"},
        {NONE "false\n" NONE "true\n", "last"},
        {"nvcf: 1\n---\n" NONE "true\n", "last"},
        {"spring: {profiles: {group: {a: b}, active: c}}\n" NONE "true\n", "last"},
        {"spring.config.import: x\n" NONE "true\n", "last"},
        {"spring.config.activate.on-profile: x\n" NONE "true\n", "unclear"},
        {NONE "true\nspring.profiles: [x]\n", "unclear"},
        {NONE "true\nspring.profiles: ''\n", "unclear"},
        {"<<: {spring: {config: {activate: {on-profile: x}}}}\n" NONE "true\n",
         "unclear"},
        {"' ': {spring.config.activate.on-profile: x}\n" NONE "true\n", "unclear"},
        {"a: &p spring.profiles\n*p : x\n" NONE "true\n", "unclear"},
        {"{\"spring.\\u0070rofiles\": x, " NONE "true}\n", "unclear"},
        {"!!omap [spring: {profiles: x}, " NONE "true]\n", "unclear"},
        {"!!omap [" NONE "true]\n", "last"},
        {NONE "true\n---\n" NONE "[x]\n", "unclear"},
        {NONE "true\n---\n<<: {spring.profiles: x}\n" NONE "false\n", "unclear"},
    };
    for (size_t i = 0; i < NRW_COUNT(texts); i++) {
        const struct kv data = {STR("a.yaml"), str_of(texts[i].yaml)};
        if (strcmp(rank_of(&data, 1), texts[i].want) != 0)
            fail_msg("%s-> %s", texts[i].yaml, rank_of(&data, 1));
    }
    /* Of several files any may be skipped. */
    const struct kv two[] = {{STR("a.yaml"), STR(NONE "true")},
                             {STR("b.yaml"), STR("x: 1")}};
    assert_string_equal(rank_of(two, 2), "unclear");
    const struct kv beside[] = {{STR("a.properties"), STR(NONE "true")},
                                {STR("b.yaml"), STR("x: 1")}};
    assert_string_equal(rank_of(beside, 2), "unclear");
    assert_string_equal(rank_of(beside, 1), "last");
}

/* Little text that is looked at again and again, in the ways in which an alias leads to
 * it: as a value, as a key, in a merge, in an !!omap; then in several files. */
static void test_work(void **state)
{
    (void)state;
    static const struct {
        const char *before, *after, *again, *end;
    } ways[] = {
        {"a: &a ", "\nb: [0", ", *a", "]\n"},
        {"a: &a {? ", " : 1}\nb: [0", ", *a", "]\n"},
        {"a: &a [", "]\nb: !!omap [x: [0", ", *a", "]]\n"},
        {"a: &a {? ", " : 1}\nb: {<<: [*a", ", *a", "]}\n"},
    };
    struct buf text;
    for (size_t i = 0; i < NRW_COUNT(ways); i++) {
        buf_init(&text, 1u << 21);
        buf_printf(&text, "%s%0600000d%s", ways[i].before, 0, ways[i].after);
        for (int k = 0; k < 20; k++)
            buf_text(&text, ways[i].again);
        buf_text(&text, ways[i].end);
        const struct kv data = {STR("f.yaml"), buf_view(&text)};
        char *got = read_all(STR("NVCF"), &data, 1);
        if (strstr(got, ": too large once aliases") == NULL)
            fail_msg("%zu: %s", i, got);
        mem_free(got);
        buf_done(&text);
    }
    /* Each file is within the limits, all together are not. */
    buf_init(&text, 1u << 16);
    buf_text(&text, "a: &a [0");
    for (int i = 0; i < 200; i++)
        buf_text(&text, ", 0");
    buf_text(&text, "]\nb: &b [*a, *a, *a, *a, *a, *a, *a, *a]\nc: [*b, *b, *b, *b]\n");
    struct kv files[40];
    for (size_t i = 0; i < NRW_COUNT(files); i++)
        files[i] = (struct kv){STR("f.yaml"), buf_view(&text)};
    char *got = read_all(STR("NVCF"), files, 1);
    assert_string_equal(got, "");
    mem_free(got);
    got = read_all(STR("NVCF"), files, NRW_COUNT(files));
    assert_non_null(strstr(got, "too large once aliases"));
    mem_free(got);
    buf_done(&text);
}

/* One that is read after others has what they left. */
static void test_budget(void **state)
{
    (void)state;
    struct buf text;
    buf_init(&text, 1u << 21);
    for (int i = 0; i < 12000; i++)
        buf_printf(&text, "k%d: 1\n", i);
    const struct kv keys = {STR("a.yaml"), buf_view(&text)};
    struct arena arena;
    struct remote_budget budget = {.spent = false};
    arena_init(&arena, 64u << 20);
    for (int i = 0; i < 6; i++) {
        struct remote_config config = {.known = true};
        assert_true(remote_config_read(&arena, STR("NVCF"), &keys, 1, &budget, &config));
        if (i < 4)
            assert_int_equal(config.limit.n, 0);
        else
            assert_true(config.limit.n > 0 && config.data_count == 1);
    }
    buf_clear(&text);
    buf_printf(&text, "# %01000000d\n", 0);
    const struct kv comment = {STR("a.yaml"), buf_view(&text)};
    budget = (struct remote_budget){.spent = false};
    for (int i = 0; i < 5; i++) {
        struct remote_config config = {.known = true};
        assert_true(
            remote_config_read(&arena, STR("NVCF"), &comment, 1, &budget, &config));
        assert_int_equal(config.limit.n > 0, i > 2);
    }
    arena_done(&arena);
    buf_done(&text);
}

/* What is kept until the decision: bytes as well as properties; and what is told. */
static void test_kept(void **state)
{
    (void)state;
    struct buf text;
    buf_init(&text, 1u << 20);
    buf_printf(&text, "nvcf.registries: {x: &a %04000d", 0);
    for (int i = 0; i < 1500; i++)
        buf_printf(&text, ", k%d: *a", i);
    buf_text(&text, "}\n");
    struct kv data = {STR("nvcf-api.yaml"), buf_view(&text)};
    char *got = read_all(STR("NVCF"), &data, 1);
    assert_non_null(
        strstr(got, "LIMIT nvcf-api.yaml, more than 10000 properties, or 4 MiB"));
    mem_free(got);
    buf_done(&text);
    static struct kv broken[2000];
    for (size_t i = 0; i < NRW_COUNT(broken); i++)
        broken[i] = (struct kv){STR("f.yaml"), STR("a: [")};
    got = read_all(STR("NVCF"), broken, NRW_COUNT(broken));
    assert_true(strlen(got) < 2048);
    assert_non_null(strstr(got, "PROBLEM f.yaml, line"));
    mem_free(got);
}

/* So many keys, and one of a registry behind them. */
static char *read_keys(int count)
{
    struct buf text;
    buf_init(&text, 4u << 20);
    for (int i = 0; i < count; i++)
        buf_printf(&text, "k%d: 1\n", i);
    buf_text(&text, "nvcf.registries.x: y\n");
    struct kv data = {STR("nvcf-api.yaml"), str_from(text.data, text.size)};
    char *got = read_all(STR("NVCF"), &data, 1);
    buf_done(&text);
    return got;
}

static void test_many_keys(void **state)
{
    (void)state;
    char *got = read_keys(26000);
    assert_string_equal(got, "nvcf.registries.x=y\n");
    mem_free(got);
    got = read_keys(60000);
    assert_string_equal(got, "LIMIT nvcf-api.yaml, line 50000: more than 100000 values");
    mem_free(got);
}

static void test_many_properties(void **state)
{
    (void)state;
    struct buf text;
    buf_init(&text, 4u << 20);
    buf_text(&text, "nvcf.registries.x: [");
    for (int i = 0; i < 10001; i++)
        buf_text(&text, "x,");
    buf_text(&text, "x]\n");
    const struct kv data[] = {{STR("a.yaml"), str_from(text.data, text.size)},
                              {STR("nvcf.registries.y"), STR("z")}};
    char *got = read_all(STR("NVCF"), data, 2);
    assert_non_null(strstr(got, "x[9999]=x\nLIMIT a.yaml, more than 10000 properties"));
    mem_free(got);
    buf_done(&text);
}

/* What is no registry's is no obstacle. */
static void test_odd_things(void **state)
{
    (void)state;
    const struct kv data = {
        STR("nvcf-api.yaml"),
        STR("? [a]\n: b\nq: !!set {a}\np: !!pairs [a: b]\n"
            "s: \"\\ud83d\\ude00 \\\\ud83d \\uDE00\"\no: !!omap [a: 1]\n"
            "nvcf.registries: !!omap [a: \"\\ud83d\\ude00 \\ud83d\", b: x]\n")};
    expect_data(STR("NVCF"), &data, 1,
                "nvcf.registries.a=\xf0\x9f\x98\x80 \xef\xbf\xbd\nnvcf.registries.b=x\n");
    expect_yaml("%YAML 1.3\n%FOO x\n---\na: '%'\n\xef\xbb\xbf%b: 1\n",
                "a=%\n\xef\xbf\xbd%b=1\n");
    expect_yaml("%TAG ! tag:yaml.org,2002:\n---\na: !str 1\n", "a=1\n");
    expect_yaml("o: !!omap [a: 1, b: {c: 2}]\n", "o.a=1\no.b.c=2\n");
    expect_problem("o: !!omap [a]\n", "line 1: !!omap takes a list of maps");
    expect_limit("o: !!set {a}\n", "line 1: a !!set or !!pairs");
}

static void test_problems(void **state)
{
    (void)state;
    expect_problem("a: 1\nb: [\n", "line 3: not YAML");
    expect_problem("~: x\n", "line 1: a key that is null");
    expect_limit("a: {1.5: x}\n", "line 1: a key that is a number or a date");
    expect_limit("a: {0x10: x}\n", "line 1: a key that is a number or a date");
    expect_limit("a:\n  ? [x]\n  : 1\n", "line 2: a key that is a map");
    expect_problem("a: !x {b: 1}\n", "line 1: a tag that is not known");
    expect_problem("\xff", "line 1: byte 0xff");
    char longest[700];
    memset(longest, 'k', sizeof(longest));
    memcpy(longest + sizeof(longest) - 4, ": 1", 4);
    expect_limit(longest, "line 1: a property name of more than 512");
    /* One that cannot be read does not hide the others. */
    const struct kv data[] = {{STR("a.yaml"), STR("[")},
                              {STR("b.properties"), STR("x=\\u12")},
                              {STR("c.yml"), STR("k: v")}};
    expect_data(
        STR(""), data, 3,
        "k=v\nPROBLEM a.yaml, line 2: not YAML: did not find expected node content; "
        "b.properties, line 1: \\u without four hexadecimal digits");
}

static void test_filter(void **state)
{
    (void)state;
    const struct kv data[] = {
        {STR("nvcf-api.yaml"), STR("nvcf:\n  registries: {recognized: 1}\n  other: 2\n"
                                   "NV-CF.Regis-Tries.x: 3\nnvct.registries.x: 4\n"
                                   "nvcf[registries].y: 5\nlogging: {level: x}\n")},
        {STR("nvcf.registries.recognized.container.a.name"), STR("plain")},
        {STR("README"), STR("text")},
        {STR("x.properties"), STR("nvcf.registries.z = 6\nother = 7\n")},
    };
    expect_data(STR("NVCF"), data, NRW_COUNT(data),
                "nvcf.registries.recognized=1\nNV-CF.Regis-Tries.x=3\n"
                "nvcf[registries].y=5\n"
                "nvcf.registries.recognized.container.a.name=plain\n"
                "nvcf.registries.z=6\n");
    expect_data(STR("nvct"), data, NRW_COUNT(data), "nvct.registries.x=4\n");
    /* The same name in two data keys: which one wins is not known. */
    const struct kv two[] = {{STR("a.yaml"), STR("k: 1")}, {STR("b.yaml"), STR("k: 2")}};
    expect_data(STR(""), two, 2, "k=1\nk=2\n");
    expect_data(STR(""), NULL, 0, "");
}

/* What makes profiles active is kept beside the registries; what Spring does not ask for
 * is not. */
static void test_activates(void **state)
{
    (void)state;
    const struct kv data[] = {
        {STR("a.yaml"), STR("spring: {profiles: {include: a, active: \"b\\0,c\"}}\n"
                            "spring.profiles.Act-ive: 1_0\n")},
        {STR("b.yaml"), STR("spring.profiles.include: [x, y]\nspring.profiles: x\n"
                            "---\nspring.profiles.group.a: x\n"
                            "---\nspring.profiles.include.x: x\n"
                            "---\nspring_profiles_active: x\n")},
        {STR("c.properties"), STR("spring.profiles[include]=d\n")},
    };
    expect_data(STR("NVCF"), data, NRW_COUNT(data),
                "spring.profiles.include=a\nspring.profiles.active=b\xef\xbf\xbd,c\n"
                "spring.profiles.Act-ive=1_0!\nspring.profiles[include]=d\n");
    char *text = mem_alloc(5000);
    assert_non_null(text);
    memset(text, 'x', 5000);
    const struct kv one = {STR("spring.profiles.active"), str_from(text, 4096)};
    const struct kv more = {one.key, str_from(text, 4097)};
    char *got = read_all(STR("NVCF"), &one, 1);
    assert_null(strstr(got, "LIMIT"));
    mem_free(got);
    got = read_all(STR("NVCF"), &more, 1);
    assert_non_null(strstr(got, "LIMIT spring.profiles.active, a list of profiles of"));
    mem_free(got);
    mem_free(text);
}

static void expect_properties(const char *text, const char *want)
{
    struct kv data = {STR("a.properties"), str_of(text)};
    expect_data(STR(""), &data, 1, want);
}

static void test_properties(void **state)
{
    (void)state;
    expect_properties("a=1\nb = 2\nc:3\nd 4\n  e\t=\t5 \n", "a=1\nb=2\nc=3\nd=4\ne=5 \n");
    expect_properties("# c\n! c\n\n  # c\r\nf=6\r\ng\r", "f=6\ng=\n");
    expect_properties("h = one, \\\n    two\\\r\n  three\ni\\ j\\=k\\:l=m\n",
                      "h=one, twothree\ni j=k:l=m\n");
    expect_properties("k=a\\tb\\\\c\\qd\\u00e4\\ud83d\\ude00\\ud83dx\n",
                      "k=a\tb\\cqd\xc3\xa4\xf0\x9f\x98\x80\xef\xbf\xbdx\n");
    expect_properties("a=1\na=2\n= x\n:y\n", "a=2\n=y\n");
    expect_properties("a==b\nc:=d\ne  = =f", "a==b\nc==d\ne==f\n");
    expect_properties("# a comment does not go on \\\na=1\\", "a=1\n");
    expect_properties("a=\\ud83d\\u0041\n", "a=\xef\xbf\xbd"
                                            "A\n");
    expect_properties("\\\n# c\n\\\r\n\r\na=\\\n#1\n\\\n  b\n", "a=#1\nb=\n");
    expect_properties("a=\\udc00\n", "a=\xef\xbf\xbd\n");
    /* Java reads the bytes as ISO 8859-1. */
    expect_properties("\xc3\xbc=\xe2\x84\xaa\n",
                      "\xc3\x83\xc2\xbc=\xc3\xa2\xc2\x84\xc2\xaa\n");
    struct kv data = {STR("a.properties"), STR("a=1\nb=2\\\n 3\nc=\\u00g0\n")};
    expect_data(STR(""), &data, 1,
                "a=1\nb=23\nPROBLEM a.properties, line 4: \\u without four hexadecimal "
                "digits");
}

static void test_every_allocation(void **state)
{
    (void)state;
    const struct kv data[] = {
        {STR("a.yaml"),
         STR("x: &x {k: 1, l: [2, 3]}\ny: {<<: *x, z: true}\n---\ny: 1\n")},
        {STR("b.properties"), STR("p = \\u0041\nq = r\n")},
        {STR("c.yml"), STR("[")},
        {STR("d"), STR("plain")},
    };
    char *want = read_all(STR(""), data, NRW_COUNT(data));
    bool passed = false;
    unsigned long k;
    for (k = 1; k < 1000 && !passed; k++) {
        struct arena arena;
        struct remote_config config = {.known = true};
        struct remote_budget budget = {.spent = false};
        arena_init(&arena, 1u << 20);
        mem_fail_nth(k);
        bool good =
            remote_config_read(&arena, STR(""), data, NRW_COUNT(data), &budget, &config);
        passed = mem_fail_nth(0) < k;
        assert_int_equal(good, passed);
        arena_done(&arena);
    }
    assert_true(passed);
    assert_true(k > 5);
    mem_free(want);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_flatten),
        cmocka_unit_test(test_documents),
        cmocka_unit_test(test_many_properties),
        cmocka_unit_test(test_many_keys),
        cmocka_unit_test(test_work),
        cmocka_unit_test(test_budget),
        cmocka_unit_test(test_merge_order),
        cmocka_unit_test(test_equal_keys),
        cmocka_unit_test(test_nul),
        cmocka_unit_test(test_rank),
        cmocka_unit_test(test_kept),
        cmocka_unit_test(test_odd_things),
        cmocka_unit_test(test_anchors),
        cmocka_unit_test(test_problems),
        cmocka_unit_test(test_filter),
        cmocka_unit_test(test_activates),
        cmocka_unit_test(test_properties),
        cmocka_unit_test(test_every_allocation),
    };
    return cmocka_run_group_tests_name("policy_remote", tests, NULL, NULL);
}
