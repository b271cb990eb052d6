#include "base/blocking.h"

#include <stddef.h>

static _Thread_local struct blocking_hook *own;

void blocking_set_hook(struct blocking_hook *hook)
{
    own = hook;
}

void blocking_begin(void)
{
    if (own)
        own->begin(own);
}

void blocking_end(void)
{
    if (own)
        own->end(own);
}
