#include "server/identity/users.h"

#include "base/log.h"
#include "base/mem.h"
#include "server/identity/bars.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define DAY_MS INT64_C(86400000)

struct fixture {
    char dir[256];
    struct clock_fake clock;
    struct store *store;
    struct users *users;
    char changed[64]; /* whom the watcher heard of last */
};

static void note_changed(void *arg, const char *id)
{
    struct fixture *f = arg;
    snprintf(f->changed, sizeof f->changed, "%s", id);
}

static void open_users(struct fixture *f)
{
    char why[200];
    struct store_options options = {.dir = f->dir, .clock = &f->clock.clock};
    assert_int_equal(store_open(&options, &f->store, why, sizeof why), ERR_OK);
    assert_int_equal(users_open(f->store, &f->users, why, sizeof why), ERR_OK);
    users_watch(f->users, note_changed, f);
}

static void close_users(struct fixture *f)
{
    users_close(&f->users);
    store_close(&f->store);
}

static int setup(void **state)
{
    struct fixture *f = mem_zalloc(sizeof *f);
    const char *tmp = getenv("TMPDIR");
    snprintf(f->dir, sizeof f->dir, "%s/galley-users-XXXXXX", tmp ? tmp : "/tmp");
    assert_non_null(mkdtemp(f->dir));
    clock_fake_init(&f->clock, 1800000000000);
    open_users(f);
    *state = f;
    return 0;
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st, (void)flag, (void)ftw;
    return remove(path);
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    close_users(f);
    nftw(f->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    free(f);
    return 0;
}

/* ---- One step, in a transaction of its own */

struct step {
    struct fixture *f;
    enum { ADD, PASSWORD, ROLES, DISABLE, ENABLE, REMOVE, SIGN_OUT } what;
    const char *name;
    const struct principal *token;
    json_t *user;
};

static enum err run_step(struct txn *txn, void *arg)
{
    struct step *step = arg;
    struct users *users = step->f->users;
    json_decref(step->user);
    step->user = NULL;
    json_t *given = json_pack("{s:s, s:[s]}", "username", step->name, "roles", "customer");
    enum err err = ERR_OK;
    if (step->what == ADD)
        err = users_add(users, txn, step->name, given, "hash", &step->user);
    else if (step->what == PASSWORD)
        err = users_set_password(users, txn, step->name, "other", &step->user);
    else if (step->what == ROLES)
        err = users_set_roles(users, txn, step->name, json_object_get(given, "roles"), &step->user);
    else if (step->what == DISABLE || step->what == ENABLE)
        err = users_set_disabled(users, txn, step->name, step->what == DISABLE, &step->user);
    else if (step->what == REMOVE)
        err = users_remove(users, txn, step->name, &step->user);
    else
        err = users_sign_out(users, txn, step->token);
    json_decref(given);
    return err;
}

static enum err step(struct fixture *f, int what, const char *name)
{
    struct step step = {.f = f, .what = what, .name = name};
    enum err err = store_write(f->store, run_step, &step);
    json_decref(step.user);
    return err;
}

struct find {
    struct users *users;
    const char *name;
    json_t *user;
};

static enum err run_find(struct txn *txn, void *arg)
{
    struct find *find = arg;
    return users_find(find->users, txn, find->name, &find->user);
}

/* Whom a token that is issued now would name. */
static struct principal token_of(struct fixture *f, const char *name)
{
    struct find find = {f->users, name, NULL};
    assert_int_equal(store_read(f->store, run_find, &find), ERR_OK);
    struct principal token;
    users_principal(find.user, &token);
    token.token = id_make(f->clock.wall_ms);
    token.until_ms = f->clock.wall_ms + 3600000;
    json_decref(find.user);
    return token;
}

/* ---- The claims */

static void test_users_tokens_stop_when_something_about_them_changes(void **state)
{
    struct fixture *f = *state;
    const int changes[] = {PASSWORD, ROLES, DISABLE};
    assert_int_equal(step(f, ADD, "ann"), ERR_OK);
    assert_int_equal(step(f, ADD, "bob"), ERR_OK);
    struct principal bob = token_of(f, "bob");
    for (unsigned i = 0; i < 3; i++) {
        struct principal before = token_of(f, "ann");
        assert_true(users_admit(f->users, &before));
        assert_int_equal(step(f, changes[i], "ann"), ERR_OK);
        assert_string_equal(f->changed, "ann");
        assert_false(users_admit(f->users, &before));
        assert_true(users_admit(f->users, &bob));
        struct principal after = token_of(f, "ann");
        assert_int_equal(users_admit(f->users, &after), changes[i] != DISABLE);
    }
}

static void test_users_tokens_from_before_stay_void_when_enabled_again(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(step(f, ADD, "ann"), ERR_OK);
    struct principal before = token_of(f, "ann");
    assert_int_equal(step(f, DISABLE, "ann"), ERR_OK);
    assert_int_equal(step(f, ENABLE, "ann"), ERR_OK);
    struct principal after = token_of(f, "ann");
    assert_false(users_admit(f->users, &before));
    assert_true(users_admit(f->users, &after));
}

static void test_users_bars_outlive_the_process_and_are_swept_when_over(void **state)
{
    struct fixture *f = *state;
    for (const char *const *name = (const char *const[]){"ann", "bob", "eve", NULL}; *name; name++)
        assert_int_equal(step(f, ADD, *name), ERR_OK);
    struct principal ann = token_of(f, "ann"), bob = token_of(f, "bob"), eve = token_of(f, "eve");
    struct step sign_out = {.f = f, .what = SIGN_OUT, .name = "x", .token = &bob};
    assert_int_equal(store_write(f->store, run_step, &sign_out), ERR_OK);
    assert_int_equal(step(f, DISABLE, "ann"), ERR_OK);
    assert_int_equal(step(f, REMOVE, "eve"), ERR_OK);

    close_users(f);
    open_users(f);
    struct principal bob_again = token_of(f, "bob");
    assert_false(users_admit(f->users, &ann));
    assert_false(users_admit(f->users, &bob));
    assert_false(users_admit(f->users, &eve));
    assert_true(users_admit(f->users, &bob_again));

    clock_fake_advance(&f->clock, 32 * DAY_MS);
    assert_int_equal(users_sweep(f->users, f->clock.wall_ms), ERR_OK);
    assert_false(users_admit(f->users, &ann)); /* as long as she is disabled */
    assert_true(users_admit(f->users, &eve));
    close_users(f);
    open_users(f);
    assert_false(users_admit(f->users, &ann));
    assert_true(users_admit(f->users, &bob));
}

static void test_users_many_bars_are_all_found(void **state)
{
    struct fixture *f = *state;
    struct principal tokens[300];
    char name[16];
    for (unsigned i = 0; i < 300; i++) {
        snprintf(name, sizeof name, "user%u", i);
        assert_int_equal(step(f, ADD, name), ERR_OK);
        tokens[i] = token_of(f, name);
        if (i % 2)
            assert_int_equal(step(f, REMOVE, name), ERR_OK);
    }
    for (unsigned i = 0; i < 300; i++)
        assert_int_equal(users_admit(f->users, &tokens[i]), i % 2 == 0);
}

static void test_users_have_names_of_their_own(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(step(f, ADD, "ann"), ERR_OK);
    assert_int_equal(step(f, ADD, "ann"), ERR_EXISTS);
    assert_int_equal(step(f, DISABLE, "nobody"), ERR_NOT_FOUND);
}

struct list {
    struct users *users;
    struct users_page page;
    struct buf out;
};

static enum err run_list(struct txn *txn, void *arg)
{
    struct list *list = arg;
    return users_list(list->users, txn, &list->page, &list->out);
}

/* The names on a page, with a space behind each, and the cursor of the next. */
static void read_page(struct list *list, struct store *store, char *names, size_t size,
                      char *cursor)
{
    buf_clear(&list->out);
    assert_int_equal(store_read(store, run_list, list), ERR_OK);
    json_t *page;
    assert_int_equal(json_read_trusted(buf_slice(&list->out), &page), ERR_OK);
    json_t *data = json_object_get(page, "data");
    names[0] = '\0';
    for (size_t i = 0; i < json_array_size(data); i++)
        snprintf(names + strlen(names), size - strlen(names), "%s ",
                 json_str(json_array_get(data, i), "username", ""));
    strcpy(cursor, json_str(json_object_get(page, "pagination"), "nextCursor", ""));
    json_decref(page);
}

static void test_users_are_listed_in_pages_by_name(void **state)
{
    struct fixture *f = *state;
    static const char *const added[] = {"dora", "ann", "carl", "bob", "anton"};
    for (unsigned i = 0; i < 5; i++)
        assert_int_equal(step(f, ADD, added[i]), ERR_OK);
    struct list list = {.users = f->users, .page = {.limit = 3}};
    char names[100], cursor[1000], last[1000];
    read_page(&list, f->store, names, sizeof names, cursor);
    assert_string_equal(names, "ann anton bob ");
    list.page.after = slice_str(cursor);
    read_page(&list, f->store, names, sizeof names, last);
    assert_string_equal(names, "carl dora ");
    assert_string_equal(last, "");
    list.page = (struct users_page){.limit = 2, .prefix = slice_str("an")};
    read_page(&list, f->store, names, sizeof names, cursor);
    assert_string_equal(names, "ann anton ");
    list.page.after = slice_str("not a cursor");
    buf_clear(&list.out);
    assert_int_equal(store_read(f->store, run_list, &list), ERR_VALIDATION);
    buf_release(&list.out);
}

static void test_users_of_older_versions_keep_their_role(void **state)
{
    (void)state;
    json_t *old = json_pack("{s:s, s:s}", "id", "ann", "role", "customer");
    struct principal principal;
    users_principal(old, &principal);
    assert_int_equal(principal.role_count, 1);
    assert_string_equal(principal.roles[0], "customer");
    json_decref(old);
}

#define CLAIM(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLAIM(test_users_tokens_stop_when_something_about_them_changes),
        CLAIM(test_users_tokens_from_before_stay_void_when_enabled_again),
        CLAIM(test_users_bars_outlive_the_process_and_are_swept_when_over),
        CLAIM(test_users_many_bars_are_all_found),
        CLAIM(test_users_have_names_of_their_own),
        CLAIM(test_users_are_listed_in_pages_by_name),
        cmocka_unit_test(test_users_of_older_versions_keep_their_role),
    };
    assert_true(log_open(&(struct log_options){.level = LOG_OFF}));
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    log_close();
    return failed;
}
