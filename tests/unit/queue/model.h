/* A model of a queue: what jobs are, and become by themselves, without a store. */
#ifndef GALLEY_TESTS_QUEUE_MODEL_H
#define GALLEY_TESTS_QUEUE_MODEL_H

#include "queue/queue.h"

#define JOBS_MAX          64 /* at once */
#define COMPLETED_KEEP_MS 60000
#define DEAD_KEEP_MS      120000

struct model_job {
    bool used;
    struct id id;
    unsigned number; /* in the order of enqueuing */
    enum job_state state;
    bool lost, by_hand;
    unsigned priority, attempt, attempts_max;
    int64_t when_ms; /* as the store has it, for a state that ends */
    struct job_lease lease;
};

struct model {
    struct model_job jobs[JOBS_MAX];
    unsigned next_number;
};

static inline struct model_job *model_find(struct model *model, const struct id *id)
{
    for (int i = 0; i < JOBS_MAX; i++)
        if (model->jobs[i].used && id_compare(&model->jobs[i].id, id) == 0)
            return &model->jobs[i];
    return NULL;
}

static inline struct model_job *model_room(struct model *model)
{
    for (int i = 0; i < JOBS_MAX; i++)
        if (!model->jobs[i].used)
            return &model->jobs[i];
    return NULL;
}

static inline void model_lose(struct model_job *job, int64_t at_ms)
{
    bool last = job->attempt >= job->attempts_max;
    job->state = last ? JOB_DEAD : JOB_READY;
    job->lost = true;
    job->when_ms = last ? at_ms : 0;
}

/* What has come by itself until now. */
static inline void model_do_due(struct model *model, int64_t at_ms)
{
    for (int i = 0; i < JOBS_MAX; i++) {
        struct model_job *job = &model->jobs[i];
        if (!job->used)
            continue;
        if (job->state == JOB_RUNNING && job->when_ms <= at_ms)
            model_lose(job, at_ms);
        else if ((job->state == JOB_SCHEDULED || job->state == JOB_RETRYING) &&
                 job->when_ms <= at_ms)
            job->state = JOB_READY;
        else if (job->state == JOB_COMPLETED && job->when_ms + COMPLETED_KEEP_MS <= at_ms)
            job->used = false;
        else if (job->state == JOB_DEAD && job->when_ms + DEAD_KEEP_MS <= at_ms)
            job->used = false;
    }
}

static inline struct model_job *model_first_ready(struct model *model)
{
    struct model_job *first = NULL;
    for (int i = 0; i < JOBS_MAX; i++) {
        struct model_job *job = &model->jobs[i];
        if (job->used && job->state == JOB_READY &&
            (!first || job->priority < first->priority ||
             (job->priority == first->priority && job->number < first->number)))
            first = job;
    }
    return first;
}

#endif
