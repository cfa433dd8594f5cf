/* A disk that takes its time: loaded in front of the C library, it makes every sync wait first.
 * SLOW_DISK_MICROSECONDS says how long. */

#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

static void wait_first(void) {
    const char *microseconds = getenv("SLOW_DISK_MICROSECONDS");
    if (microseconds) {
        usleep((useconds_t)atol(microseconds));
    }
}

int fdatasync(int file) {
    wait_first();
    return (int)syscall(SYS_fdatasync, file);
}

int fsync(int file) {
    wait_first();
    return (int)syscall(SYS_fsync, file);
}
