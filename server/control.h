/* The control socket: data/control.sock, for whoever may open files there (mode 0600). A server has
 * it as long as it runs. Threads: any. */
#ifndef GALLEY_SERVER_CONTROL_H
#define GALLEY_SERVER_CONTROL_H

#define CONTROL_PATH_SIZE 64

/* Its path, by way of the data directory's descriptor: the path of a socket has room for 107 bytes,
 * and a list of listeners none for a comma. Valid in this process while data_fd is open. */
void control_path(int data_fd, char out[CONTROL_PATH_SIZE]);

/* A connection to the server that runs on the data directory, blocking or, with SOCK_NONBLOCK, not;
 * the caller's to close. Negative with errno if there is none: ENOENT, ECONNREFUSED. */
int control_connect(int data_fd, int flags);

#endif
