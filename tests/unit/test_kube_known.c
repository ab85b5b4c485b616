/* What a watch remembers of what it has told: within the bound all of it, beyond that
 * nothing that could be told wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "kube/known.h"
#include "util/attr.h"

struct fixture {
    struct known known;
    size_t told[3]; /* by enum known_change, since the last count() */
};

static bool on_told(void *context, enum known_change change, const json_t *object)
{
    struct fixture *it = context;
    assert_non_null(json_object_get(object, "metadata"));
    it->told[change]++;
    return true;
}

static int set_up(void **state)
{
    static struct fixture it;
    it = (struct fixture){.told = {0}};
    assert_true(known_init(&it.known, on_told, &it));
    *state = &it;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *it = *state;
    known_done(&it->known);
    return 0;
}

static json_t *object(size_t n, const char *version)
{
    char name[32];
    snprintf(name, sizeof(name), "m-%zu", n);
    return json_pack("{s:{s:s,s:s,s:s,s:s}}", "metadata", "namespace", "ns", "name", name,
                     "uid", "u", "resourceVersion", version);
}

static void take(struct fixture *it, size_t from, size_t to, const char *version)
{
    for (size_t n = from; n < to; n++) {
        json_t *made = object(n, version);
        assert_true(known_take(&it->known, made));
        json_decref(made);
    }
}

static void list(struct fixture *it, size_t from, size_t to, const char *version)
{
    assert_true(known_list_begin(&it->known));
    take(it, from, to, version);
    assert_true(json_object_size(it->known.seen) <= KNOWN_MAXIMUM);
    assert_true(known_list_end(&it->known));
}

static void count(struct fixture *it, size_t fresh, size_t changed, size_t gone)
{
    assert_int_equal(it->told[KNOWN_NEW], fresh);
    assert_int_equal(it->told[KNOWN_CHANGED], changed);
    assert_int_equal(it->told[KNOWN_GONE], gone);
    it->told[KNOWN_NEW] = it->told[KNOWN_CHANGED] = it->told[KNOWN_GONE] = 0;
}

static void within_the_bound(void **state)
{
    struct fixture *it = *state;
    list(it, 0, 5, "1");
    count(it, 5, 0, 0);
    list(it, 1, 6, "1");
    count(it, 1, 0, 1);
    take(it, 1, 3, "2");
    count(it, 0, 2, 0);
    known_doubt(&it->known);
    list(it, 1, 6, "2");
    count(it, 0, 5, 0);
}

/* Told each time they are seen, and never as gone by a list. */
static void beyond_the_bound(void **state)
{
    struct fixture *it = *state;
    const size_t all = KNOWN_MAXIMUM + 20;
    list(it, 0, all, "1");
    count(it, all, 0, 0);
    assert_int_equal(json_object_size(it->known.told), KNOWN_MAXIMUM);
    list(it, 0, all, "1");
    count(it, 20, 0, 0);
    take(it, all - 1, all, "2");
    take(it, 0, 1, "2");
    count(it, 1, 1, 0);
    known_doubt(&it->known);
    list(it, 0, all, "2");
    count(it, 20, KNOWN_MAXIMUM, 0);
    /* The last ones went away unseen. */
    list(it, 0, KNOWN_MAXIMUM, "2");
    count(it, 0, 0, 0);
    /* By an event it is told of any; and where there is room again it is remembered. */
    json_t *gone[] = {object(all - 1, "3"), object(0, "3")};
    for (size_t i = 0; i < NRW_COUNT(gone); i++) {
        assert_true(known_delete(&it->known, gone[i]));
        json_decref(gone[i]);
    }
    count(it, 0, 0, 2);
    take(it, all, all + 2, "1");
    take(it, all, all + 1, "2");
    count(it, 2, 1, 0);
    list(it, 1, KNOWN_MAXIMUM, "2");
    count(it, 0, 0, 1);
    assert_int_equal(json_object_size(it->known.told), KNOWN_MAXIMUM - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(within_the_bound, set_up, tear_down),
        cmocka_unit_test_setup_teardown(beyond_the_bound, set_up, tear_down),
    };
    json_object_seed(0);
    return cmocka_run_group_tests_name("kube_known", tests, NULL, NULL);
}
