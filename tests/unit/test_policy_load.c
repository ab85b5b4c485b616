/* policy/policy_load: every rule of the policy's text, with line and column, all problems
 * in one run; the hash; every allocation failing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "policy/policy_load.h"
#include "util/buf.h"
#include "util/mem.h"

#define HEAD                                                                             \
    "apiVersion: nvcf-registry-webhook/v1\nkind: RegistryPolicy\n" /* 2 lines            \
                                                                    */

static struct policy_doc *load(const char *text)
{
    struct err err = {0};
    struct policy_doc *doc = policy_doc_new(str_of(text), &err);
    if (doc == NULL)
        fail_msg("%s", err.message);
    assert_true((doc->policy == NULL) == (findings_count(&doc->findings) > 0));
    return doc;
}

/* Every finding as "LINE:COLUMN Finding [key]: message | advice\n". */
static char *describe(const struct policy_doc *doc)
{
    struct buf out;
    buf_init(&out, 1u << 20);
    for (size_t i = 0; i < findings_count(&doc->findings); i++) {
        const struct finding *f = findings_at(&doc->findings, i);
        assert_int_equal(f->severity, SEVERITY_ERROR);
        assert_true(str_eq(f->source, STR("policy")));
        /* What the parser says of text that is no YAML is all there is to say. */
        if (f->advice.n == 0 && !str_starts(f->message, STR("not YAML: ")))
            fail_msg("no advice: %.*s", STR_ARG(f->message));
        char place[32];
        snprintf(place, sizeof(place), "%u:%u", f->line, f->column);
        if (f->line > 0)
            assert_true(str_eq(f->path, str_of(place)));
        buf_printf(&out, "%s %s [%.*s]: %.*s | %.*s\n", place, finding_name(f->id),
                   STR_ARG(f->key), STR_ARG(f->message), STR_ARG(f->advice));
    }
    char *text = buf_steal(&out, NULL);
    assert_non_null(text);
    return text;
}

/* The findings, one a line of `want`: each must begin with "LINE:COLUMN Finding [key]"
 * and hold the part after " ~ "; and there are no others. */
static void expect(const char *policy, const char *want)
{
    struct policy_doc *doc = load(policy);
    char *got = describe(doc);
    const char *g = got;
    const char *w = want;
    while (*w != '\0' || *g != '\0') {
        size_t wn = strcspn(w, "\n");
        size_t gn = strcspn(g, "\n");
        struct str wanted = str_from(w, wn);
        struct str found = str_from(g, gn);
        size_t cut = str_find(wanted, STR(" ~ "));
        struct str part = cut < wn ? str_skip(wanted, cut + 3) : STR("");
        if (wn == 0 || gn == 0 || !str_starts(found, str_first(wanted, cut)) ||
            (part.n > 0 && str_find(found, part) == found.n))
            fail_msg("policy:\n%s\ngot:\n%s\nwanted:\n%s", policy, got, want);
        w += wn + (w[wn] == '\n' ? 1 : 0);
        g += gn + (g[gn] == '\n' ? 1 : 0);
    }
    mem_free(got);
    policy_doc_free(doc);
}

static void test_example(void **state)
{
    (void)state;
    expect(policy_example, "");
    struct policy_doc *doc = load(policy_example);
    const struct policy *p = doc->policy;
    assert_int_equal(p->mode, POLICY_INJECT);
    assert_int_equal(p->enforcement, POLICY_ENFORCE);
    assert_int_equal(p->unlisted, UNLISTED_WARN);
    assert_int_equal(p->opaque, OPAQUE_WARN);
    assert_int_equal(p->registry_count, 3);
    assert_int_equal(doc->registry_count, 3);
    assert_true(str_eq(p->registries[0].key, STR("GHCR")));
    assert_true(str_eq(p->registries[0].hostname, STR("ghcr.io")));
    assert_int_equal(p->registries[0].line, 9);
    assert_int_equal(p->registries[0].column, 3);
    assert_true(str_eq(p->registries[1].key, STR("HARBOR")));
    assert_true(p->registries[1].native);
    assert_true(str_eq(p->registries[1].name, STR("Harbor Registry")));
    assert_true(str_eq(p->registries[2].key, STR("INTERNAL")));
    assert_false(p->registries[2].native);
    assert_int_equal(p->target_count, 2);
    assert_true(str_eq(p->targets[1].prefix, STR("NVCT")));
    assert_true(str_eq(p->targets[1].container, STR("helm-nvcf-nvct-api")));
    assert_int_equal(strlen(p->hash), 16);
    policy_doc_free(doc);
}

static void test_defaults(void **state)
{
    (void)state;
    struct policy_doc *doc = load(HEAD);
    const struct policy *p = doc->policy;
    assert_int_equal(p->mode, POLICY_INJECT);
    assert_int_equal(p->registry_count, 0);
    assert_int_equal(p->target_count, 1);
    assert_true(str_eq(p->targets[0].name_space, STR("nvcf")));
    assert_true(str_eq(p->targets[0].container, STR("helm-nvcf-api")));
    assert_true(str_eq(p->targets[0].prefix, STR("NVCF")));
    assert_int_equal(p->targets[0].selector_count, 1);
    assert_true(str_eq(p->targets[0].selector[0].key, STR("app.kubernetes.io/name")));
    assert_true(str_eq(p->targets[0].selector[0].value, STR("helm-nvcf-api")));
    policy_doc_free(doc);

    doc = load(HEAD "mode: Check\nenforcement: Audit\nunlisted: Remove\n"
                    "opaqueSources: Allow\nnative: {ARTIFACTORY: {hostname: "
                    "jfrog.corp.example, name: Our Artifactory}}\nregistries: {}\n"
                    "targets: [{namespace: a, selector: {k: v}, container: c}]\n");
    p = doc->policy;
    assert_int_equal(p->mode, POLICY_CHECK);
    assert_int_equal(p->enforcement, POLICY_AUDIT);
    assert_int_equal(p->unlisted, UNLISTED_REMOVE);
    assert_int_equal(p->opaque, OPAQUE_ALLOW);
    assert_true(str_eq(p->registries[0].name, STR("Our Artifactory")));
    assert_true(str_eq(p->targets[0].prefix, STR("NVCF")));
    policy_doc_free(doc);

    /* JSON, a byte order mark, an empty first document. */
    expect(
        "{\"apiVersion\": \"nvcf-registry-webhook/v1\", \"kind\": \"RegistryPolicy\",\n"
        "\t\"registries\": {\"GHCR\": {\"name\": \"G\", \"hostname\": \"ghcr.io\"}}}",
        "");
    expect("\xef\xbb\xbf" HEAD, "");
    expect("# comment\n---\n" HEAD "---\n", "");
}

static void test_syntax(void **state)
{
    (void)state;
    expect("", "1:1 InvalidPolicy [] ~ the policy is empty");
    expect("# nothing\n", "1:1 InvalidPolicy [] ~ the policy is empty");
    expect("---\n", "2:1 InvalidPolicy [] ~ the policy is empty");
    expect(HEAD "mode: [\n", "4:1 InvalidPolicy [] ~ not YAML");
    expect(HEAD "registries:\n\tGHCR: 1\n", "4:1 InvalidPolicy [] ~ indent with spaces");
    expect(HEAD "mode: \xc3\x28\n", "3:7 InvalidPolicy [] ~ byte 0xc3 is not UTF-8");
    expect(HEAD "---\n" HEAD, "4:1 InvalidPolicy [] ~ a second document");
    expect("- a\n", "1:1 InvalidPolicy [] ~ the policy is a list");
    expect("hello", "1:1 InvalidPolicy [] ~ the policy is a text");
    expect("apiVersion: v1\nkind: ConfigMap\n",
           "2:7 InvalidPolicy [] ~ its data key policy.yaml");
    expect(HEAD "mode: *x\n", "3:7 InvalidPolicy [] ~ names no anchor");
}

static void test_identity(void **state)
{
    (void)state;
    expect("registries: {}\n", "1:1 InvalidPolicy [] ~ the policy has no apiVersion | "
                               "write apiVersion: nvcf-registry-webhook/v1\n"
                               "1:1 InvalidPolicy [] ~ has no kind");
    expect("apiVersion: nvcf-registry-webhook/v2\nkind: Policy\n",
           "1:13 InvalidPolicy [] ~ apiVersion is \"nvcf-registry-webhook/v2\"\n"
           "2:7 InvalidPolicy [] ~ write kind: RegistryPolicy");
    expect("apiVersion: 1\nkind:\n", "1:13 InvalidPolicy [] ~ apiVersion is a number\n"
                                     "2:6 InvalidPolicy [] ~ kind is empty");
}

static void test_fields(void **state)
{
    (void)state;
    expect(HEAD "registry: {}\n", "3:1 InvalidPolicy [] ~ did you mean registries?");
    expect(HEAD "Mode: Inject\n", "3:1 InvalidPolicy [] ~ did you mean mode?");
    expect(HEAD "metadata: {name: x}\n",
           "3:1 InvalidPolicy [] ~ the fields of the policy are: apiVersion, kind, mode");
    expect(HEAD "mode: Check\nmode: Check\n",
           "4:1 InvalidPolicy [] ~ the first time on line 3");
    expect(HEAD "? [a]\n: b\n",
           "3:3 InvalidPolicy [] ~ a list where a field's name belongs");
    expect(HEAD "mode: &m Check\n", "3:7 InvalidPolicy [] ~ anchor &m");
    expect(HEAD "registries: &r {}\nnative: *r\n",
           "3:13 InvalidPolicy [] ~ anchor &r\n4:9 InvalidPolicy [] ~ alias *r");
    expect(HEAD "mode: !secret Check\n", "3:7 InvalidPolicy [] ~ tag !secret");
    expect(HEAD "mode: !!str Check\n", "");
    expect(HEAD "<<: {mode: Check}\n", "3:1 InvalidPolicy [] ~ no merge keys");
}

static void test_words(void **state)
{
    (void)state;
    expect(HEAD "mode: inject\nenforcement: audit\nunlisted: Remov\nopaqueSources: No\n",
           "3:7 InvalidPolicy [] ~ did you mean Inject?\n"
           "4:14 InvalidPolicy [] ~ did you mean Audit?\n"
           "5:11 InvalidPolicy [] ~ did you mean Remove?\n"
           "6:16 InvalidPolicy [] ~ write one of: Warn, Deny, Allow");
    expect(HEAD "mode:\nenforcement: true\nunlisted: [Warn]\nopaqueSources: ''\n",
           "3:6 InvalidPolicy [] ~ mode is empty\n"
           "4:14 InvalidPolicy [] ~ enforcement is true or false\n"
           "5:11 InvalidPolicy [] ~ unlisted is a list\n"
           "6:16 InvalidPolicy [] ~ write one of");
    expect(HEAD "mode: !!int x\n",
           "3:7 InvalidPolicy [] ~ mode is a value whose tag does not fit");
    expect(HEAD "mode: !!int x\nregistries: !!int x\n",
           "3:7 InvalidPolicy [] ~ mode is a value whose tag does not fit\n"
           "4:13 InvalidPolicy [] ~ registries is a value whose tag");
    expect(HEAD "*x : 1\n", "3:1 InvalidPolicy [] ~ names no anchor");
    expect(HEAD "mode: &k Check\n*k : 1\n",
           "3:7 InvalidPolicy [] ~ anchor\n4:1 InvalidPolicy [] ~ alias *k");
    expect(HEAD "mode: \"a\\eb\"\n", "3:7 InvalidPolicy [] ~ mode \"a?b\" is not known");
}

static void test_registries(void **state)
{
    (void)state;
    expect(HEAD "registries:\n", "3:12 InvalidPolicy [] ~ registries: {} for none");
    expect(HEAD "registries: [GHCR]\n", "3:13 InvalidPolicy [] ~ a list where a map");
    expect(HEAD "registries:\n  GHCR: ghcr.io\n",
           "4:9 InvalidPolicy [GHCR] ~ registry GHCR is a text where a map of fields");
    expect(HEAD "registries:\n  GHCR:\n",
           "4:8 InvalidPolicy [GHCR] ~ registry GHCR is empty");
    expect(HEAD "registries:\n  GHCR: {}\n",
           "4:3 IncompleteRegistry [GHCR] ~ has no hostname\n"
           "4:3 IncompleteRegistry [GHCR] ~ has no name");
    expect(HEAD "registries:\n  GHCR:\n    name: G\n    host: ghcr.io\n",
           "4:3 IncompleteRegistry [GHCR] ~ has no hostname\n"
           "6:5 InvalidPolicy [GHCR] ~ did you mean hostname?");
    expect(HEAD "registries:\n  GHCR:\n    name: 17\n    hostname: 123\n",
           "5:11 InvalidPolicy [GHCR] ~ write it in quotes: \"17\"\n"
           "6:15 InvalidPolicy [GHCR] ~ hostname is a number");
    expect(HEAD "registries:\n  GHCR:\n    name: On\n    hostname: ghcr.io\n", "");
    expect(HEAD "registries:\n  GHCR:\n    name: true\n    hostname: {a: b}\n",
           "5:11 InvalidPolicy [GHCR] ~ true or false\n"
           "6:15 InvalidPolicy [GHCR] ~ a map where a text belongs");
    expect(HEAD "registries:\n  GHCR: {name: G, hostname: ghcr.io}\n"
                "  GHCR: {name: H, hostname: h.io}\n",
           "5:3 InvalidPolicy [GHCR] ~ the first time on line 4");
    expect(HEAD "registries:\n  ? {a: b}\n  : {name: G, hostname: ghcr.io}\n",
           "4:5 InvalidKey [] ~ a map where a registry's key belongs");
    expect(HEAD "registries:\n  <<: {GHCR: {name: G, hostname: ghcr.io}}\n",
           "4:3 InvalidPolicy [] ~ merge keys");
}

/* What core/policy_rules finds, at the value's own place. */
static void test_rules(void **state)
{
    (void)state;
    expect(HEAD "registries:\n  DOCKER:\n    name: D\n    hostname: d.example\n",
           "4:3 BuiltinCollision [DOCKER]");
    expect(HEAD "registries:\n  HARBOR:\n    name: D\n    hostname: d.example\n",
           "4:3 BuiltinCollision [HARBOR] ~ native");
    expect(HEAD "registries:\n  ECRPUBLIC: {name: D, hostname: d.example}\n"
                "  ecr-public: {name: E, hostname: e.example}\n",
           "4:3 BuiltinCollision [ECRPUBLIC]\n5:3 BuiltinCollision [ecr-public]\n"
           "5:3 InvalidKey [ecr-public] ~ the same as");
    expect(HEAD "registries:\n  MY_REG:\n    name: D\n    hostname: d.example\n",
           "4:3 InvalidKey [MY_REG] ~ MYREG");
    expect(HEAD "registries:\n  123:\n    name: D\n    hostname: d.example\n",
           "4:3 InvalidKey [123]");
    expect(HEAD "registries:\n  A:\n    name: D\n    hostname: docker.io\n",
           "6:15 DuplicateHostname [A] ~ DOCKER");
    expect(HEAD
           "registries:\n  A:\n    hostname: d.example\n    name: Docker Hub Registry\n",
           "6:11 DuplicateName [A] ~ DOCKER");
    expect(HEAD "registries:\n  A:\n    name: D\n    hostname: registry.corp:5000\n",
           "6:15 UnmatchableHostname [A] ~ registry.corp");
    expect(HEAD "registries:\n  A:\n    name: ' '\n    hostname: ''\n",
           "5:11 IncompleteRegistry [A] ~ the name is blank\n"
           "6:15 IncompleteRegistry [A]");
    expect(HEAD "registries:\n  A:\n    name: $(X)\n    hostname: ${Y}.example\n",
           "5:11 InvalidPolicy [A] ~ the name has a \"$\"\n"
           "6:15 InvalidPolicy [A] ~ the hostname has a \"$\"");
    expect(HEAD "registries:\n  A:\n    name: \"a\\tb\"\n    hostname: \"\\0\"\n",
           "5:11 InvalidPolicy [A] ~ the name has a control\n"
           "6:15 InvalidPolicy [A] ~ the hostname has a control");
    expect(HEAD "registries:\n  A:\n    name: \"a\\Nb\"\n    hostname: d.example\n",
           "5:11 InvalidPolicy [A] ~ the name has a control"); /* U+0085 */
    expect(HEAD "registries:\n  A:\n    name: \"a\\_b\"\n    hostname: d.example\n", "");
    expect(HEAD "registries:\n  B:\n    name: X\n    hostname: x.example\n"
                "  A:\n    name: X\n    hostname: x.example\n",
           "8:11 DuplicateName [A] ~ B and A\n9:15 DuplicateHostname [A]");
    expect(HEAD "registries:\n  \"A\\eB\": {name: X, hostname: x.example}\n",
           "4:3 InvalidKey [A\x1b"
           "B] ~ the key \"A?B\"");
    /* One wrong field does not hide the others' problems, nor make new ones. */
    expect(HEAD "registries:\n  A: {hostname: 'Bad:1'}\n  B: {name: X}\n  C: {name: Y}\n",
           "4:3 IncompleteRegistry [A]\n4:17 UnmatchableHostname [A]\n"
           "5:3 IncompleteRegistry [B]\n6:3 IncompleteRegistry [C]");
}

static void test_native(void **state)
{
    (void)state;
    expect(HEAD "native:\n  DOCKER: {hostname: d.example}\n",
           "4:3 InvalidPolicy [DOCKER] ~ recognises this registry already");
    expect(HEAD "native:\n  harbor: {hostname: d.example}\n",
           "4:3 InvalidPolicy [harbor] ~ did you mean HARBOR?");
    expect(HEAD "native:\n  CORP: {hostname: d.example}\n",
           "4:3 InvalidPolicy [CORP] ~ belongs under registries");
    expect(HEAD "native:\n  HARBOR: {}\n",
           "4:3 IncompleteRegistry [HARBOR] ~ no hostname");
    expect(HEAD
           "native:\n  HARBOR: {hostname: d.example, name: JFrog Artifactory Registry}\n",
           "4:39 DuplicateName [HARBOR]");
    expect(HEAD "native:\n  HARBOR: {hostname: d.example, name: Harbor Registry}\n", "");
    expect(HEAD "native:\n  HARBOR: {hostname: d.example:1}\n"
                "registries:\n  A: {name: A, hostname: d.example}\n",
           "4:22 UnmatchableHostname [HARBOR]");
}

#define TARGET "targets:\n  - namespace: nvcf\n    selector: {a: b}\n    container: c\n"

static void test_targets(void **state)
{
    (void)state;
    expect(HEAD TARGET "    prefix: NVCT\n", "");
    expect(HEAD "targets:\n", "3:9 InvalidPolicy [] ~ targets is empty");
    expect(HEAD "targets: []\n", "3:10 InvalidPolicy [] ~ an empty list");
    expect(HEAD "targets: {namespace: nvcf}\n", "3:10 InvalidPolicy [] ~ a map where");
    expect(HEAD "targets:\n  - nvcf\n", "4:5 InvalidPolicy [] ~ a target is a text");
    expect(HEAD "targets:\n  - {}\n", "4:5 InvalidPolicy [] ~ no container\n"
                                      "4:5 InvalidPolicy [] ~ no namespace\n"
                                      "4:5 InvalidPolicy [] ~ no selector");
    expect(HEAD TARGET "    prefix: nvcf\n", "7:13 InvalidPolicy [] ~ write NVCF");
    expect(HEAD TARGET "    prefix: NV_CF\n", "7:13 InvalidPolicy []");
    expect(HEAD TARGET "    labels: {}\n", "7:5 InvalidPolicy [] ~ unknown field");
    expect(HEAD "targets:\n  - namespace: NVCF\n    selector: {}\n    container: a_b\n",
           "4:16 InvalidPolicy [] ~ no name that Kubernetes allows\n"
           "5:15 InvalidPolicy [] ~ it would match every Deployment\n"
           "6:16 InvalidPolicy [] ~ a_b");
    expect(HEAD "targets:\n  - namespace: a\n    selector: [a]\n    container: b\n",
           "5:15 InvalidPolicy [] ~ a list where a map of labels");
    expect(HEAD "targets:\n  - namespace: a\n    selector: {matchLabels: {a: b}}\n"
                "    container: b\n",
           "5:16 InvalidPolicy [] ~ without matchLabels");
    expect(HEAD "targets:\n  - namespace: a\n    selector: {a: 1, 'b c': d, e: 'f g', "
                "x/: y, a: b, -x.y/z: 1}\n    container: b\n",
           "5:19 InvalidPolicy [] ~ the label is a number\n"
           "5:22 InvalidPolicy [] ~ b c\n5:35 InvalidPolicy [] ~ f g\n"
           "5:42 InvalidPolicy [] ~ x/\n5:49 InvalidPolicy [] ~ given twice\n"
           "5:55 InvalidPolicy [] ~ -x.y/z");
    expect(
        HEAD TARGET
        "  - namespace: nvcf\n    container: c\n    selector: {a: b}\n    prefix: NVCT\n",
        "7:5 InvalidPolicy [] ~ the one on line 4, with another prefix");
    char longest[64 + 1];
    memset(longest, 'x', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    struct buf text;
    buf_init(&text, 1u << 16);
    buf_printf(&text,
               HEAD "targets:\n  - namespace: %s\n    selector: {a: %s, %s: b}\n"
                    "    container: c\n    prefix: X%s%s\n",
               longest, longest, longest, longest, longest);
    expect(text.data, "4:16 InvalidPolicy [] ~ no name that\n"
                      "5:19 InvalidPolicy [] ~ no label value\n"
                      "5:85 InvalidPolicy [] ~ no label that\n"
                      "7:13 InvalidPolicy [] ~ xxx...\" is not capital letters");
    buf_clear(&text);
    buf_text(&text, HEAD "targets:\n  - namespace: a\n    container: c\n    selector:\n");
    for (int i = 0; i < 33; i++)
        buf_printf(&text, "      l%d: v\n", i);
    expect(text.data, "7:7 InvalidPolicy [] ~ more than 32 labels");
    buf_done(&text);
    expect(HEAD "targets: &t\n  - &s {namespace: a, selector: &l {a: b}, container: c}\n"
                "  - *s\n  - {namespace: d, selector: *l, container: c}\n",
           "3:10 InvalidPolicy [] ~ anchor &t\n4:5 InvalidPolicy [] ~ anchor &s\n"
           "4:33 InvalidPolicy [] ~ anchor &l\n5:5 InvalidPolicy [] ~ alias *s\n"
           "6:30 InvalidPolicy [] ~ alias *l");
    expect(HEAD TARGET "  - namespace: nvcf\n    container: c\n    selector: {a: b}\n",
           "7:5 InvalidPolicy [] ~ the one on line 4 |");
    expect(HEAD TARGET "  - namespace: nvcf\n    container: c\n    selector: {a: c}\n",
           "");
}

static void test_limits(void **state)
{
    (void)state;
    struct buf text;
    buf_init(&text, 4u << 20);
    buf_text(&text, HEAD "registries:\n");
    for (int i = 0; i < 256; i++)
        buf_printf(&text, "  R%d: {name: N%d, hostname: r%d.example}\n", i, i, i);
    expect(text.data, "");
    buf_text(&text, "native: {HARBOR: {hostname: h.example}}\n");
    expect(text.data, "260:10 InvalidPolicy [] ~ more than 256 registries");
    struct policy_doc *doc = load(text.data);
    assert_int_equal(doc->registry_count, 257);
    policy_doc_free(doc);

    buf_clear(&text);
    buf_text(&text, HEAD "targets:\n");
    for (int i = 0; i < 65; i++)
        buf_printf(&text, "  - {namespace: n%d, selector: {a: b}, container: c}\n", i);
    expect(text.data, "4:3 InvalidPolicy [] ~ 65 targets");

    buf_clear(&text);
    buf_text(&text, HEAD);
    for (int i = 0; i < 300; i++)
        buf_printf(&text, "wrong%d: x\n", i);
    doc = load(text.data);
    assert_int_equal(findings_count(&doc->findings), 201);
    assert_true(
        str_starts(findings_at(&doc->findings, 200)->message, STR("more than 200")));
    policy_doc_free(doc);

    buf_clear(&text);
    buf_text(&text, HEAD "#");
    while (text.size < POLICY_MAX_BYTES)
        buf_char(&text, 'x');
    expect(text.data, "");
    buf_char(&text, 'x');
    expect(text.data, "0:0 InvalidPolicy [] ~ 1048577 bytes are more than");

    buf_clear(&text);
    buf_text(&text, HEAD "mode: ");
    for (int i = 0; i < 40; i++)
        buf_char(&text, '[');
    expect(text.data, "3:38 InvalidPolicy [] ~ nested more than");
    buf_done(&text);
}

static void test_offset(void **state)
{
    (void)state;
    struct policy_doc *doc = policy_doc_new_at(STR(HEAD "mode: x\nmode: Check\n"),
                                               (struct yaml_offset){10, 4}, NULL);
    assert_non_null(doc);
    char *got = describe(doc);
    assert_non_null(strstr(got, "13:11 InvalidPolicy"));
    assert_non_null(strstr(got,
                           "14:5 InvalidPolicy []: \"mode\" is given twice; the first "
                           "time on line 13"));
    mem_free(got);
    struct arena arena;
    arena_init(&arena, 4096);
    assert_string_equal(policy_doc_summary(&arena, doc).p,
                        "line 13, column 11: mode \"x\" is not known (and 1 more)");
    policy_doc_free(doc);
    doc = load(HEAD);
    assert_int_equal(policy_doc_summary(&arena, doc).n, 0);
    policy_doc_free(doc);
    arena_done(&arena);
}

static void hash_of(const char *text, char *out)
{
    struct policy_doc *doc = load(text);
    assert_non_null(doc->policy);
    memcpy(out, doc->policy->hash, sizeof(doc->policy->hash));
    policy_doc_free(doc);
}

static void test_hash(void **state)
{
    (void)state;
    char base[17];
    char other[17];
#define GHCR "  GHCR: {name: G, hostname: ghcr.io}\n"
#define CORP "  CORP: {name: C, hostname: corp.example}\n"
#define ONE  "  - {namespace: nvcf, selector: {a: b, c: d}, container: x}\n"
#define TWO  "  - {namespace: nvct, selector: {e: f}, container: y, prefix: NVCT}\n"
    hash_of(HEAD "registries:\n" GHCR CORP "targets:\n" ONE TWO, base);
    static const char *const same[] = {
        HEAD "mode: Inject\nunlisted: Warn\nregistries:\n" GHCR CORP "targets:\n" ONE TWO,
        "# x\nkind: RegistryPolicy\ntargets:\n" TWO ONE "registries:\n" CORP GHCR
        "apiVersion: 'nvcf-registry-webhook/v1'\n",
        HEAD
        "registries:\n  GHCR:\n    hostname: \"ghcr.io\"  # here\n    name: G\n" CORP
        "targets:\n"
        "  - {selector: {c: d, a: b}, container: x, namespace: nvcf, prefix: NVCF}\n" TWO,
    };
    for (size_t i = 0; i < NRW_COUNT(same); i++) {
        hash_of(same[i], other);
        assert_string_equal(base, other);
    }
    static const char *const different[] = {
        HEAD "registries:\n" GHCR CORP,
        HEAD "registries:\n" GHCR "targets:\n" ONE TWO,
        HEAD "mode: Check\nregistries:\n" GHCR CORP "targets:\n" ONE TWO,
        HEAD "enforcement: Audit\nregistries:\n" GHCR CORP "targets:\n" ONE TWO,
        HEAD "unlisted: Deny\nregistries:\n" GHCR CORP "targets:\n" ONE TWO,
        HEAD "opaqueSources: Deny\nregistries:\n" GHCR CORP "targets:\n" ONE TWO,
        HEAD "registries:\n" GHCR "  CORP: {name: D, hostname: corp.example}\n"
             "targets:\n" ONE TWO,
        HEAD "registries:\n" GHCR "  CORP: {name: C, hostname: corp2.example}\n"
             "targets:\n" ONE TWO,
    };
    for (size_t i = 0; i < NRW_COUNT(different); i++) {
        hash_of(different[i], other);
        assert_string_not_equal(base, other);
    }
    /* A hash is kept in clusters: it may not change from release to release. */
    hash_of(policy_example, other);
    assert_string_equal(other, "47f323a4948763cf");
}

static void test_every_allocation(void **state)
{
    (void)state;
    const char *const texts[] = {
        policy_example,
        HEAD "registries:\n  A: {hostname: 'Bad:1'}\n  DOCKER: {name: ' ', hostname: x}\n"
             "mode: foo\ntargets: [{namespace: X, selector: {a: 1}}]\nfoo: bar\n",
        "apiVersion: [",
    };
    for (size_t t = 0; t < NRW_COUNT(texts); t++) {
        struct policy_doc *doc = load(texts[t]);
        char *want = describe(doc);
        policy_doc_free(doc);
        bool passed = false;
        unsigned long k;
        for (k = 1; k < 10000 && !passed; k++) {
            struct err err = {0};
            mem_fail_nth(k);
            doc = policy_doc_new(str_of(texts[t]), &err);
            passed = mem_fail_nth(0) < k;
            if (doc == NULL) {
                assert_int_equal(err.code, ERR_NOMEM);
                assert_false(passed);
                continue;
            }
            assert_true(passed); /* half a result would be worse than none */
            char *got = describe(doc);
            assert_string_equal(got, want);
            mem_free(got);
            policy_doc_free(doc);
        }
        assert_true(passed);
        mem_free(want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_example),    cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_syntax),     cmocka_unit_test(test_identity),
        cmocka_unit_test(test_fields),     cmocka_unit_test(test_words),
        cmocka_unit_test(test_registries), cmocka_unit_test(test_rules),
        cmocka_unit_test(test_native),     cmocka_unit_test(test_targets),
        cmocka_unit_test(test_limits),     cmocka_unit_test(test_offset),
        cmocka_unit_test(test_hash),       cmocka_unit_test(test_every_allocation),
    };
    return cmocka_run_group_tests_name("policy_load", tests, NULL, NULL);
}
