/* Status codes. Threads: any. */
#ifndef GALLEY_SERVER_HTTP_STATUS_H
#define GALLEY_SERVER_HTTP_STATUS_H

/* "Not Found"; "" for what has no name. */
const char *status_reason(int status);

#endif
