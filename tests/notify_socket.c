/* A service manager's socket, for tests that are written in a language without such sockets: binds
 * the path given and prints each datagram, its lines joined by a space, until it is killed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

static void print(char *lines)
{
    for (char *end; (end = strchr(lines, '\n'));)
        *end = ' ';
    puts(lines);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (argc != 2 || strlen(argv[1]) >= sizeof address.sun_path)
        return EXIT_FAILURE;
    memcpy(address.sun_path, argv[1], strlen(argv[1]));
    int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) != 0)
        return EXIT_FAILURE;
    print((char[]){"bound"});
    char text[4096];
    for (ssize_t got; (got = recv(fd, text, sizeof text - 1, 0)) >= 0;) {
        text[got] = '\0';
        print(text);
    }
    return EXIT_FAILURE;
}
