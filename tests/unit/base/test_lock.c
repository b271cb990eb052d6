#include "base/lock.h"

#include "base/clock.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct lock outer = LOCK_INIT(LOCK_RANK_QUEUE);
static struct lock inner = LOCK_INIT(LOCK_RANK_CACHE);

/* True if the function dies of an assertion, in a process of its own. */
static bool aborts(void (*fn)(void))
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        close(STDERR_FILENO); /* the assertion's text is no news */
        signal(SIGABRT, SIG_DFL);
        fn();
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

static void *holds_inner(void *arg)
{
    *(bool *)arg = lock_held(&inner);
    return NULL;
}

static void test_lock_is_held_by_the_thread_that_took_it_only(void **state)
{
    (void)state;
    assert_false(lock_held(&inner));
    lock_acquire(&inner);
    assert_true(lock_held(&inner));
    lock_assert_held(&inner);
    bool other = true;
    pthread_t thread;
    pthread_create(&thread, NULL, holds_inner, &other);
    pthread_join(thread, NULL);
    assert_false(other);
    lock_leave(&inner);
    assert_false(lock_held(&inner));
}

static void test_lock_order_may_be_walked_again_and_again(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        lock_acquire(&outer);
        lock_acquire(&inner);
        lock_leave(&inner);
        lock_acquire(&inner);
        lock_leave(&inner);
        lock_leave(&outer);
    }
}

static void take_in_wrong_order(void)
{
    lock_acquire(&inner);
    lock_acquire(&outer);
}

static void take_twice(void)
{
    lock_acquire(&inner);
    lock_acquire(&inner);
}

static void leave_in_order_of_taking(void)
{
    lock_acquire(&outer);
    lock_acquire(&inner);
    lock_leave(&outer);
}

static void leave_what_is_not_held(void)
{
    lock_leave(&inner);
}

static void assert_what_is_not_held(void)
{
    lock_assert_held(&inner);
}

static void test_lock_misuse_aborts(void **state)
{
    (void)state;
    assert_true(aborts(take_in_wrong_order));
    assert_true(aborts(take_twice));
    assert_true(aborts(leave_in_order_of_taking));
    assert_true(aborts(leave_what_is_not_held));
    assert_true(aborts(assert_what_is_not_held));
}

struct meeting {
    struct lock lock;
    struct lock_cond cond;
    int turn;
};

static void meeting_init(struct meeting *meeting)
{
    lock_init(&meeting->lock, LOCK_RANK_CACHE);
    lock_cond_init(&meeting->cond);
    meeting->turn = 0;
}

static void meeting_release(struct meeting *meeting)
{
    lock_cond_release(&meeting->cond);
    lock_release(&meeting->lock);
}

/* Takes its turns at odd numbers, and has no outer lock as the first thread has. */
static void *take_odd_turns(void *arg)
{
    struct meeting *meeting = arg;
    lock_acquire(&meeting->lock);
    while (meeting->turn < 20) {
        while (meeting->turn % 2 == 0 && meeting->turn < 20)
            lock_cond_wait(&meeting->cond, &meeting->lock);
        meeting->turn++;
        lock_cond_broadcast(&meeting->cond);
    }
    lock_leave(&meeting->lock);
    return NULL;
}

static void test_lock_cond_wait_restores_owner_and_rank(void **state)
{
    (void)state;
    struct meeting meeting;
    meeting_init(&meeting);
    pthread_t thread;
    pthread_create(&thread, NULL, take_odd_turns, &meeting);
    lock_acquire(&outer);
    lock_acquire(&meeting.lock);
    while (meeting.turn < 20) {
        meeting.turn++;
        lock_cond_broadcast(&meeting.cond);
        while (meeting.turn % 2 == 1 && meeting.turn < 20)
            lock_cond_wait(&meeting.cond, &meeting.lock);
        assert_true(lock_held(&meeting.lock));
    }
    lock_leave(&meeting.lock);
    lock_leave(&outer);
    lock_acquire(&outer); /* the rank held is none again */
    lock_leave(&outer);
    pthread_join(thread, NULL);
    meeting_release(&meeting);
}

static void test_lock_cond_wait_until_ends_at_a_past_deadline(void **state)
{
    (void)state;
    struct meeting meeting;
    meeting_init(&meeting);
    lock_acquire(&meeting.lock);
    assert_false(
        lock_cond_wait_until(&meeting.cond, &meeting.lock, clock_mono_ns(&clock_system) - 1));
    assert_true(lock_held(&meeting.lock));
    lock_leave(&meeting.lock);
    meeting_release(&meeting);
}

static void *signal_turn(void *arg)
{
    struct meeting *meeting = arg;
    lock_acquire(&meeting->lock);
    meeting->turn = 1;
    lock_cond_signal(&meeting->cond);
    lock_leave(&meeting->lock);
    return NULL;
}

static void test_lock_cond_wait_until_ends_when_signalled(void **state)
{
    int64_t hour_later = clock_mono_ns(&clock_system) + INT64_C(3600000000000);
    (void)state;
    struct meeting meeting;
    meeting_init(&meeting);
    lock_acquire(&meeting.lock);
    pthread_t thread;
    pthread_create(&thread, NULL, signal_turn, &meeting);
    while (meeting.turn == 0)
        assert_true(lock_cond_wait_until(&meeting.cond, &meeting.lock, hour_later));
    lock_leave(&meeting.lock);
    pthread_join(thread, NULL);
    meeting_release(&meeting);
}

static int shared;

static void *count(void *arg)
{
    (void)arg;
    for (int i = 0; i < 10000; i++) {
        lock_acquire(&inner);
        shared++;
        lock_leave(&inner);
    }
    return NULL;
}

static void test_lock_excludes_other_threads(void **state)
{
    (void)state;
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, count, NULL);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(shared, 40000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lock_is_held_by_the_thread_that_took_it_only),
        cmocka_unit_test(test_lock_order_may_be_walked_again_and_again),
        cmocka_unit_test(test_lock_misuse_aborts),
        cmocka_unit_test(test_lock_cond_wait_restores_owner_and_rank),
        cmocka_unit_test(test_lock_cond_wait_until_ends_at_a_past_deadline),
        cmocka_unit_test(test_lock_cond_wait_until_ends_when_signalled),
        cmocka_unit_test(test_lock_excludes_other_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
