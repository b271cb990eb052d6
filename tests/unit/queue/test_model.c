/* The queue against a model of it: random operations, each followed by a comparison of what both
 * say, with restarts, a clock that is set, kill -9, and writes that fail at random. */
#include "tests/unit/queue/flip.h"
#include "tests/unit/queue/model.h"

#include "base/log.h"
#include <signal.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#define STEPS        100000
#define CHILD_STEPS  40
#define NARROW_BYTES (160u << 10)
#define PATIENCE_ALL 900

/* ---- Faults: liblmdb finds these before the C library's. */

enum fault { NO_FAULT, DISK_FULL, DISK_FAILS };
static _Atomic enum fault fault;
static _Atomic int fault_in; /* so many calls from now */

static bool fails(void)
{
    if (fault == NO_FAULT || fault_in-- > 0)
        return false;
    errno = fault == DISK_FULL ? ENOSPC : EIO;
    return true;
}

ssize_t pwrite(int fd, const void *bytes, size_t size, off_t offset)
{
    return fails() ? -1 : syscall(SYS_pwrite64, fd, bytes, size, offset);
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
    return fails() ? -1 : syscall(SYS_writev, fd, parts, count);
}

int fdatasync(int fd)
{
    (void)fd;
    return fails() ? -1 : 0;
}

/* ---- The world: the queue, and what it should be. */

struct world {
    struct fixture *f;
    struct model model;
    unsigned seed;
    unsigned writes_failed, restarts, kills, latches;
};

static unsigned draw(struct world *world, unsigned below)
{
    return (unsigned)rand_r(&world->seed) % below;
}

static int64_t now_ms(struct world *world)
{
    return queues_now_ms(world->f->queues);
}

/* ---- Comparison. */

static enum err compare_fn(struct txn *txn, void *arg)
{
    struct world *world = arg;
    for (int i = 0; i < JOBS_MAX; i++) {
        const struct model_job *job = &world->model.jobs[i];
        if (!job->used)
            continue;
        struct job_info info;
        if (queue_job(world->f->queues, txn, &job->id, &info) != ERR_OK ||
            info.state != job->state || info.attempt != job->attempt)
            return ERR_CONFLICT;
    }
    return ERR_OK;
}

static void compare(struct world *world)
{
    assert_int_equal(store_read(world->f->store, compare_fn, world), ERR_OK);
    uint64_t jobs[JOB_STATES] = {0};
    for (int i = 0; i < JOBS_MAX; i++)
        if (world->model.jobs[i].used)
            jobs[world->model.jobs[i].state]++;
    for (enum job_state state = 0; state < JOB_STATES; state++)
        assert_int_equal(counted(world->f, state), jobs[state]);
}

/* ---- Steps: each in one transaction, and then, if it was written, in the model. */

enum kind { ENQUEUE, LEASE, ACK, FAIL, KINDS };

/* What one step does, and what came of it; also what a child tells its parent. */
struct step {
    enum kind kind;
    struct job_spec spec;
    struct id id;
    unsigned max;
    bool by_worker;
    int64_t lease_ms;
    struct job_lease lease;
    /* Results. */
    enum err err;
    int64_t at_ms, when_ms;
    unsigned count;
    struct job_lease leases[8];
};

struct doing {
    struct world *world;
    struct step *step;
};

static void step_leased(const struct job *job, const struct job_lease *lease, void *arg)
{
    struct step *step = arg;
    (void)job;
    step->leases[step->count++] = *lease;
}

static enum err step_lease(struct fixture *f, struct txn *txn, struct step *step)
{
    unsigned count;
    step->count = 0;
    if (!step->by_worker)
        return queue_lease(f->queues, txn, "mail", step->max, step->lease_ms, step_leased, step,
                           &count);
    struct lease_terms terms = {
        .max = step->max, .lease_ms = step->lease_ms, .each = step_leased, .arg = step};
    struct change *change = change_begin(f->queues->queues[0], txn);
    change_do_due(change, 1000);
    lease_take(change, &terms);
    change_end(change);
    return txn_error(txn);
}

static enum err step_fn(struct txn *txn, void *arg)
{
    const struct doing *doing = arg;
    struct fixture *f = doing->world->f;
    struct step *step = doing->step;
    struct job_status status;
    step->at_ms = queues_now_ms(f->queues);
    switch (step->kind) {
    case ENQUEUE:
        return queue_enqueue(f->queues, txn, &step->spec, &step->id);
    case LEASE:
        return step_lease(f, txn, step);
    case ACK:
        return queue_ack(f->queues, txn, &step->lease);
    default:
        break;
    }
    enum err err = queue_fail(f->queues, txn, &step->lease, slice_str("bad luck"));
    if (err == ERR_OK && status_get(f->queues, txn, &step->lease.job, &status) == ERR_OK)
        step->when_ms = status.when_ms;
    return err;
}

static void learn_enqueue(struct world *world, const struct step *step)
{
    struct model_job *job = model_room(&world->model);
    assert_non_null(job);
    *job = (struct model_job){
        .used = true,
        .id = step->id,
        .number = world->model.next_number++,
        .state = step->spec.delay_ms > 0 ? JOB_SCHEDULED : JOB_READY,
        .priority = step->spec.priority,
        .attempts_max = step->spec.attempts_max,
        .when_ms = step->at_ms + step->spec.delay_ms,
    };
}

static void learn_lease(struct world *world, const struct step *step)
{
    model_do_due(&world->model, step->at_ms);
    for (unsigned i = 0; i < step->count; i++) {
        struct model_job *job = model_first_ready(&world->model);
        assert_non_null(job);
        assert_int_equal(id_compare(&job->id, &step->leases[i].job), 0);
        assert_true(!job->lost || step->count == 1);
        job->state = JOB_RUNNING;
        job->by_hand = !step->by_worker;
        job->attempt++;
        job->when_ms = step->at_ms + step->lease_ms;
        job->lease = step->leases[i];
    }
    const struct model_job *left = model_first_ready(&world->model);
    bool alone = left && (left->lost || step->count == 1);
    assert_true(step->count == step->max || !left || alone);
}

static void learn_end(struct world *world, const struct step *step)
{
    struct model_job *job = model_find(&world->model, &step->lease.job);
    bool held = job && job->state == JOB_RUNNING && job->lease.attempt == step->lease.attempt &&
                job->lease.token == step->lease.token;
    assert_int_equal(step->err, held ? ERR_OK : ERR_STALE);
    if (!held)
        return;
    bool last = job->attempt >= job->attempts_max;
    job->lost = false;
    job->when_ms = step->at_ms;
    job->state = step->kind == ACK ? JOB_COMPLETED : last ? JOB_DEAD : JOB_RETRYING;
    if (job->state == JOB_RETRYING)
        job->when_ms = step->when_ms;
}

static bool is_of_the_disk(enum err err)
{
    return err == ERR_STORE_FULL || err == ERR_READ_ONLY;
}

static void learn(struct world *world, const struct step *step)
{
    if (is_of_the_disk(step->err)) {
        world->writes_failed++;
        return;
    }
    if (step->kind == ACK || step->kind == FAIL) {
        learn_end(world, step);
        return;
    }
    assert_int_equal(step->err, ERR_OK);
    if (step->kind == ENQUEUE)
        learn_enqueue(world, step);
    else
        learn_lease(world, step);
}

/* ---- Drawing a step. */

static void draw_enqueue(struct world *world, struct step *step)
{
    static char payload[9000];
    memset(payload, 'x', sizeof payload);
    step->spec = (struct job_spec){
        .queue = "mail",
        .type = "t",
        .payload = slice_of(payload, draw(world, 4) ? draw(world, 100) : draw(world, 9000)),
        .priority = draw(world, 3),
        .delay_ms = draw(world, 3) ? 0 : 1 + draw(world, 5000),
        .attempts_max = 1 + draw(world, 3),
    };
}

/* A lease that some job has or had, mostly. */
static void draw_lease_of(struct world *world, struct step *step)
{
    const struct model_job *job = &world->model.jobs[draw(world, JOBS_MAX)];
    for (int i = 0; i < 20 && !(job->used && job->state == JOB_RUNNING); i++)
        job = &world->model.jobs[draw(world, JOBS_MAX)];
    step->lease = job->lease;
    if (draw(world, 10) == 0)
        step->lease.token ^= 1;
}

static void draw_step(struct world *world, struct step *step)
{
    *step = (struct step){.kind = draw(world, KINDS)};
    if (step->kind == ENQUEUE && !model_room(&world->model))
        step->kind = LEASE;
    switch (step->kind) {
    case ENQUEUE:
        draw_enqueue(world, step);
        break;
    case LEASE:
        step->max = draw(world, 6);
        step->by_worker = draw(world, 2);
        step->lease_ms = 1 + draw(world, 3000);
        break;
    default:
        draw_lease_of(world, step);
    }
}

static void do_step(struct world *world, struct step *step)
{
    struct doing doing = {world, step};
    step->err = store_write(world->f->store, step_fn, &doing);
}

static void take_step(struct world *world)
{
    struct step step;
    draw_step(world, &step);
    do_step(world, &step);
    learn(world, &step);
}

/* ---- What else happens. */

static void model_recover(struct world *world)
{
    int64_t at_ms = now_ms(world);
    for (int i = 0; i < JOBS_MAX; i++) {
        struct model_job *job = &world->model.jobs[i];
        if (job->used && job->state == JOB_RUNNING && !job->by_hand)
            model_lose(job, at_ms);
    }
    model_do_due(&world->model, at_ms);
}

struct forgiving {
    struct world *world;
    const struct model *before;
};

/* What is still as it was is due at the next step. */
static enum err forgive_fn(struct txn *txn, void *arg)
{
    const struct forgiving *forgiving = arg;
    for (int i = 0; i < JOBS_MAX; i++) {
        const struct model_job *before = &forgiving->before->jobs[i];
        struct job_info info;
        if (before->used &&
            queue_job(forgiving->world->f->queues, txn, &before->id, &info) == ERR_OK &&
            info.state == before->state && info.attempt == before->attempt)
            forgiving->world->model.jobs[i] = *before;
    }
    return txn_error(txn);
}

/* A start does what is due, unless the map is so full that it cannot; all or, in several
 * transactions, some of it. */
static void open_again(struct world *world)
{
    const struct model before = world->model;
    fixture_open(world->f);
    world->f->queues->queues[0]->concurrency = 0;
    assert_int_equal(queues_start(world->f->queues), ERR_OK);
    model_recover(world);
    struct forgiving forgiving = {world, &before};
    if (world->f->map_bytes == NARROW_BYTES)
        assert_int_equal(store_read(world->f->store, forgive_fn, &forgiving), ERR_OK);
    world->restarts++;
}

static void restart(struct world *world)
{
    fixture_close(world->f);
    if (draw(world, 2))
        world->f->clock.wall_ms += draw(world, 2) ? -(int64_t)draw(world, 7200000) : 1000;
    open_again(world);
}

static void move_clock(struct world *world)
{
    clock_fake_advance(&world->f->clock, draw(world, 20) ? draw(world, 2000) : 86400000 * 2);
    if (draw(world, 10) == 0) /* set back: nobody notices */
        world->f->clock.wall_ms -= draw(world, 3600000);
}

/* A step while the disk fails; a store that has latched is opened again. */
static void fail_disk(struct world *world)
{
    fault_in = (int)draw(world, 6);
    fault = draw(world, 2) ? DISK_FULL : DISK_FAILS;
    take_step(world);
    fault = NO_FAULT;
    struct store_stats stats;
    store_stats(world->f->store, &stats);
    if (!stats.read_only)
        return;
    world->latches++;
    restart(world);
}

/* ---- kill -9: a child goes on with the same directory and tells of each step before and after it;
 * what it was killed in was written or not. */

static void child_main(struct world *world, int out)
{
    fixture_open(world->f);
    for (int i = 0; i < CHILD_STEPS; i++) {
        struct step step;
        draw_step(world, &step);
        if (write(out, &step, sizeof step) != sizeof step)
            _exit(1);
        do_step(world, &step);
        if (write(out, &step, sizeof step) != sizeof step)
            _exit(1);
        learn(world, &step);
    }
    for (;;)
        pause();
}

static bool read_step(int in, struct step *step)
{
    size_t got = 0;
    while (got < sizeof *step) {
        ssize_t n = read(in, (char *)step + got, sizeof *step - got);
        if (n <= 0)
            return false;
        got += (size_t)n;
    }
    return true;
}

/* Follows the child for some steps and kills it. True if it was killed within one, *open. */
static bool follow(struct world *world, int in, pid_t child, struct step *open)
{
    unsigned steps = draw(world, CHILD_STEPS);
    struct step step;
    for (unsigned i = 0; i < steps; i++) {
        assert_true(read_step(in, open) && read_step(in, &step));
        learn(world, &step);
    }
    kill(child, SIGKILL);
    while (read_step(in, open)) { /* what it still got done */
        if (!read_step(in, &step))
            return true;
        learn(world, &step);
    }
    return false;
}

struct survey {
    struct world *world;
    unsigned changed; /* jobs that are not as the model has them */
    bool completed_undone;
};

static void survey_job(struct survey *survey, const struct id *id, const struct job_status *status)
{
    struct model_job *job = model_find(&survey->world->model, id);
    if (!job) {
        job = model_room(&survey->world->model);
        assert_non_null(job);
        *job = (struct model_job){.used = true,
                                  .id = *id,
                                  .number = survey->world->model.next_number++,
                                  .state = status->state};
        survey->changed++;
    }
    survey->changed += job->state != status->state;
    survey->completed_undone |= job->state == JOB_COMPLETED && status->state != JOB_COMPLETED;
    job->state = status->state;
    job->lost = status->lost;
    job->by_hand = status->by_hand;
    job->priority = status->priority;
    job->attempt = status->attempt;
    job->attempts_max = status->attempts_max;
    job->when_ms = status->when_ms;
    job->lease = (struct job_lease){*id, status->attempt, status->token};
}

/* Learns all jobs from the store. */
static enum err survey_fn(struct txn *txn, void *arg)
{
    struct survey *survey = arg;
    struct fixture *f = survey->world->f;
    size_t queue_len = f->queues->queues[0]->prefix.len;
    struct cursor cursor;
    cursor_open(&cursor, txn, f->index);
    for (enum err err = cursor_seek(&cursor, slice_of("", 0)); err == ERR_OK;
         err = cursor_next(&cursor)) {
        struct index_entry entry;
        struct job_body body;
        struct job_status status;
        struct slice rest = slice_of(cursor.key.ptr + queue_len, cursor.key.len - queue_len);
        assert_true(index_take_entry(rest, &entry));
        bool ready = entry.state == JOB_READY;
        assert_int_equal(job_get(f->queues, txn, &entry.id, ready ? &body : NULL, &status), ERR_OK);
        survey_job(survey, &entry.id, &status);
    }
    cursor_close(&cursor);
    return ERR_OK;
}

/* The step that the child died in has happened or not, as a whole. */
static void settle_open_step(struct world *world, const struct step *open)
{
    static const unsigned most[KINDS] = {[ENQUEUE] = 1, [LEASE] = JOBS_MAX, [ACK] = 1, [FAIL] = 1};
    struct survey survey = {.world = world};
    fixture_open(world->f);
    if (open->kind == LEASE)
        model_do_due(&world->model, now_ms(world)); /* it may have forgotten some */
    assert_int_equal(store_read(world->f->store, survey_fn, &survey), ERR_OK);
    assert_true(survey.changed <= most[open->kind]);
    assert_false(survey.completed_undone);
    fixture_close(world->f);
}

static void kill_minus_nine(struct world *world)
{
    int pipes[2];
    assert_int_equal(pipe(pipes), 0);
    fixture_close(world->f);
    pid_t child = fork();
    if (child == 0) {
        close(pipes[0]);
        child_main(world, pipes[1]);
    }
    close(pipes[1]);
    struct step open;
    bool within = follow(world, pipes[0], child, &open);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    close(pipes[0]);
    if (within)
        settle_open_step(world, &open);
    world->kills++;
    open_again(world);
}

/* ---- */

static void live(struct world *world, unsigned steps)
{
    for (unsigned i = 0; i < steps; i++) {
        unsigned what = draw(world, 1000);
        if (what < 100)
            move_clock(world);
        else if (what < 104)
            restart(world);
        else if (what < 130)
            fail_disk(world);
        else if (what == 130)
            kill_minus_nine(world);
        else
            take_step(world);
        compare(world);
    }
}

static int world_setup(void **state, size_t map_bytes)
{
    fixture_setup(state);
    struct fixture *f = *state;
    fixture_close(f);
    f->map_bytes = map_bytes;
    f->options.completed_keep_ms = COMPLETED_KEEP_MS;
    f->options.dead_keep_ms = DEAD_KEEP_MS;
    struct world *world = calloc(1, sizeof *world);
    *world = (struct world){.f = f, .seed = (unsigned)map_bytes | 1};
    open_again(world);
    *state = world;
    return 0;
}

static int roomy_setup(void **state)
{
    return world_setup(state, 64u << 20);
}

static int narrow_setup(void **state)
{
    return world_setup(state, NARROW_BYTES);
}

static int world_teardown(void **state)
{
    struct world *world = *state;
    void *fixture = world->f;
    free(world);
    return fixture_teardown(&fixture);
}

static void test_queue_does_what_its_model_says(void **state)
{
    struct world *world = *state;
    live(world, STEPS);
    assert_true(world->kills > 10 && world->latches > 10 && world->restarts > 100);
}

static void test_queue_in_a_map_that_is_full_does_what_its_model_says(void **state)
{
    struct world *world = *state;
    live(world, STEPS / 2);
    assert_true(world->writes_failed > STEPS / 100);
}

int main(void)
{
    const struct log_options options = {.level = LOG_OFF};
    assert_true(log_open(&options));
    use_memory_for_files();
    alarm(PATIENCE_ALL);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_queue_does_what_its_model_says, roomy_setup,
                                        world_teardown),
        cmocka_unit_test_setup_teardown(test_queue_in_a_map_that_is_full_does_what_its_model_says,
                                        narrow_setup, world_teardown),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    log_close();
    return failed;
}
