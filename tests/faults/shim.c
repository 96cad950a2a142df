/* A preloaded library that breaks a process at a chosen write.
 *
 * It counts the calls that change something below given path prefixes, and at the n-th of them kills the process before it, after it or in
 * the middle of it, lets it fail, or interrupts it. Nothing happens until `fault_arm` is called or FAULT_* stands in the environment, so that
 * a server can import everything once, fork, and arm only the child. What a prefix matches is what /proc says of a descriptor: a path, or
 * "pipe:[" for pipes.
 *
 * Build: cc -shared -fPIC -O1 -o shim.so shim.c -ldl     Use: LD_PRELOAD=shim.so python server.py
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { OFF, COUNT, BEFORE, AFTER, MIDDLE, FAIL, INTERRUPT };

static volatile int mode = OFF;
static long wanted, counted;
static int failure, sticky, trace = -1;
static char prefixes[4][PATH_MAX];
static int used, lazy;

/* Arm. `paths`: prefixes, one a line. `n`: which call, from 1. `log`: a descriptor that gets "operation size path" for each call, or -1. */
void fault_arm(const char *paths, long n, int how, int error, int stays, int log) {
    used = 0;
    while (*paths && used < 4) {
        size_t length = strcspn(paths, "\n");
        memcpy(prefixes[used], paths, length);
        prefixes[used++][length] = 0;
        paths += length + (paths[length] == '\n');
    }
    counted = 0, wanted = n, failure = error, sticky = stays, trace = log;
    mode = how;
}

/* From now on no call waits for the disk. A killed process loses nothing that it has written; only a power failure would, and none is played. */
void fault_be_lazy(void) {
    lazy = 1;
}

long fault_disarm(void) {
    mode = OFF;
    return counted;
}

__attribute__((constructor)) static void from_environment(void) {
    const char *paths = getenv("FAULT_PATHS"), *n = getenv("FAULT_N"), *how = getenv("FAULT_MODE"), *log = getenv("FAULT_LOG");
    if (paths && n && how)
        fault_arm(paths, atol(n), atoi(how), EIO, 0, log ? (int)syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600) : -1);
}

static void die(void) {
    syscall(SYS_kill, (int)syscall(SYS_getpid), SIGKILL);
    for (;;) pause();
}

static int matches(const char *path) {
    for (int i = 0; i < used; i++)
        if (!strncmp(path, prefixes[i], strlen(prefixes[i]))) return 1;
    return 0;
}

static int of_descriptor(int fd, char *path) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, PATH_MAX - 1);
    path[length < 0 ? 0 : length] = 0;
    return length > 0;
}

static void of_name(int folder, const char *name, char *path) {
    size_t at = 0;
    path[0] = 0;
    if (name[0] != '/') {
        if (folder == AT_FDCWD) {
            if (!getcwd(path, PATH_MAX)) path[0] = 0;
        } else
            of_descriptor(folder, path);
        at = strlen(path);
        path[at++] = '/';
    }
    snprintf(path + at, PATH_MAX - at, "%s", name);
}

/* What the caller has to do now: one of the modes; OFF means to go on. */
static int turn(const char *operation, const char *path, size_t size) {
    if (!matches(path)) return OFF;
    long now = __atomic_add_fetch(&counted, 1, __ATOMIC_SEQ_CST);
    if (trace >= 0) {
        char line[PATH_MAX + 64];
        int length = snprintf(line, sizeof line, "%s %zu %s\n", operation, size, path);
        syscall(SYS_write, trace, line, length);
    }
    if (now != wanted && !(mode == FAIL && sticky && now > wanted)) return OFF;
    if (mode == INTERRUPT) {
        syscall(SYS_kill, (int)syscall(SYS_getpid), SIGINT);
        return OFF;
    }
    if (mode == BEFORE) die();
    return mode;
}

#define NEXT(type, name, ...)                                         \
    static type (*next)(__VA_ARGS__);                                 \
    if (!next) next = (type (*)(__VA_ARGS__))dlsym(RTLD_NEXT, #name);

#define FINISH(act, failed, call)                                     \
    do {                                                              \
        if ((act) == FAIL) return errno = failure, (failed);          \
        __typeof__(failed) result_ = (call);                          \
        if ((act) == AFTER) die();                                    \
        return result_;                                               \
    } while (0)

static int at_descriptor(const char *operation, int fd, size_t size) {
    char path[PATH_MAX];
    if (mode == OFF) return OFF;
    int kept = errno, act = of_descriptor(fd, path) ? turn(operation, path, size) : OFF;
    errno = kept;
    return act;
}

static int at_name(const char *operation, int folder, const char *name) {
    char path[PATH_MAX];
    if (mode == OFF) return OFF;
    int kept = errno;
    of_name(folder, name, path);
    int act = turn(operation, path, 0);
    errno = kept;
    return act;
}

/* --- bytes ------------------------------------------------------------------------------------------------------------------------------ */

ssize_t write(int fd, const void *data, size_t size) {
    NEXT(ssize_t, write, int, const void *, size_t)
    int act = at_descriptor("write", fd, size);
    if (act == MIDDLE) {
        if (size > 1) next(fd, data, size / 2);
        die();
    }
    FINISH(act, (ssize_t)-1, next(fd, data, size));
}

#define PWRITE(name, offset_type)                                                              \
    ssize_t name(int fd, const void *data, size_t size, offset_type offset) {                  \
        NEXT(ssize_t, name, int, const void *, size_t, offset_type)                            \
        int act = at_descriptor("write", fd, size);                                            \
        if (act == MIDDLE) {                                                                   \
            if (size > 1) next(fd, data, size / 2, offset);                                    \
            die();                                                                             \
        }                                                                                      \
        FINISH(act, (ssize_t)-1, next(fd, data, size, offset));                                \
    }
PWRITE(pwrite, off_t)
PWRITE(pwrite64, off64_t)

ssize_t writev(int fd, const struct iovec *parts, int count) {
    NEXT(ssize_t, writev, int, const struct iovec *, int)
    size_t size = 0;
    for (int i = 0; i < count; i++) size += parts[i].iov_len;
    int act = at_descriptor("write", fd, size);
    if (act == MIDDLE) {
        if (count) syscall(SYS_write, fd, parts[0].iov_base, (parts[0].iov_len + 1) / 2);
        die();
    }
    FINISH(act, (ssize_t)-1, next(fd, parts, count));
}

#define ON_DESCRIPTOR(name, operation, parameters, arguments, ...)                             \
    int name parameters {                                                                      \
        NEXT(int, name, __VA_ARGS__)                                                           \
        int act = at_descriptor(operation, fd, 0);                                             \
        if (act == MIDDLE) die();                                                              \
        FINISH(act, -1, next arguments);                                                       \
    }
#define SYNC(name)                                                                             \
    int name(int fd) {                                                                         \
        NEXT(int, name, int)                                                                   \
        int act = at_descriptor("fsync", fd, 0);                                               \
        if (act == MIDDLE) die();                                                              \
        FINISH(act, -1, lazy ? 0 : next(fd));                                                  \
    }
SYNC(fsync)
SYNC(fdatasync)
ON_DESCRIPTOR(ftruncate, "truncate", (int fd, off_t size), (fd, size), int, off_t)
ON_DESCRIPTOR(ftruncate64, "truncate", (int fd, off64_t size), (fd, size), int, off64_t)
ON_DESCRIPTOR(fchmod, "chmod", (int fd, mode_t bits), (fd, bits), int, mode_t)
ON_DESCRIPTOR(fallocate, "allocate", (int fd, int how, off_t at, off_t size), (fd, how, at, size), int, int, off_t, off_t)
ON_DESCRIPTOR(fallocate64, "allocate", (int fd, int how, off64_t at, off64_t size), (fd, how, at, size), int, int, off64_t, off64_t)

int posix_fallocate(int fd, off_t at, off_t size) {
    NEXT(int, posix_fallocate, int, off_t, off_t)
    int act = at_descriptor("allocate", fd, 0);
    if (act == MIDDLE) die();
    if (act == FAIL) return failure;
    int result = next(fd, at, size);
    if (act == AFTER) die();
    return result;
}

/* --- names ------------------------------------------------------------------------------------------------------------------------------ */

#define ON_NAME(function, operation, folder, name, parameters, arguments, ...)                 \
    int function parameters {                                                                  \
        NEXT(int, function, __VA_ARGS__)                                                       \
        int act = at_name(operation, folder, name);                                            \
        if (act == MIDDLE) die();                                                              \
        FINISH(act, -1, next arguments);                                                       \
    }
ON_NAME(unlink, "unlink", AT_FDCWD, name, (const char *name), (name), const char *)
ON_NAME(unlinkat, "unlink", folder, name, (int folder, const char *name, int flags), (folder, name, flags), int, const char *, int)
ON_NAME(rmdir, "rmdir", AT_FDCWD, name, (const char *name), (name), const char *)
ON_NAME(mkdir, "mkdir", AT_FDCWD, name, (const char *name, mode_t bits), (name, bits), const char *, mode_t)
ON_NAME(mkdirat, "mkdir", folder, name, (int folder, const char *name, mode_t bits), (folder, name, bits), int, const char *, mode_t)
ON_NAME(chmod, "chmod", AT_FDCWD, name, (const char *name, mode_t bits), (name, bits), const char *, mode_t)
ON_NAME(truncate, "truncate", AT_FDCWD, name, (const char *name, off_t size), (name, size), const char *, off_t)
ON_NAME(rename, "rename", AT_FDCWD, to, (const char *from, const char *to), (from, to), const char *, const char *)
ON_NAME(renameat, "rename", newer, to, (int older, const char *from, int newer, const char *to), (older, from, newer, to), int, const char *, int, const char *)
ON_NAME(renameat2, "rename", newer, to, (int older, const char *from, int newer, const char *to, unsigned int flags), (older, from, newer, to, flags), int,
        const char *, int, const char *, unsigned int)
ON_NAME(link, "link", AT_FDCWD, to, (const char *from, const char *to), (from, to), const char *, const char *)
ON_NAME(linkat, "link", newer, to, (int older, const char *from, int newer, const char *to, int flags), (older, from, newer, to, flags), int, const char *, int,
        const char *, int)
ON_NAME(symlink, "link", AT_FDCWD, to, (const char *from, const char *to), (from, to), const char *, const char *)
ON_NAME(symlinkat, "link", folder, to, (const char *from, int folder, const char *to), (from, folder, to), const char *, int, const char *)

/* Opening is a change when it makes a file or empties one. */
static int at_opening(int folder, const char *name, int flags) {
    if (mode == OFF) return OFF;
    int kept = errno, writes = (flags & O_ACCMODE) != O_RDONLY, changes = 0;
    if ((flags & O_CREAT) && (flags & O_TMPFILE) != O_TMPFILE) changes = syscall(SYS_faccessat, folder, name, F_OK) != 0;
    if ((flags & O_TRUNC) && writes) changes = 1;
    errno = kept;
    return changes ? at_name("open", folder, name) : OFF;
}

#define BITS                                                                                   \
    mode_t bits = 0;                                                                           \
    if ((flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE) {                               \
        va_list rest;                                                                          \
        va_start(rest, flags);                                                                 \
        bits = va_arg(rest, mode_t);                                                           \
        va_end(rest);                                                                          \
    }

#define OPEN(function)                                                                         \
    int function(const char *name, int flags, ...) {                                           \
        BITS                                                                                   \
        NEXT(int, function, const char *, int, ...)                                            \
        int act = at_opening(AT_FDCWD, name, flags);                                           \
        if (act == MIDDLE) die();                                                              \
        FINISH(act, -1, next(name, flags, bits));                                              \
    }
OPEN(open)
OPEN(open64)

#define OPENAT(function)                                                                       \
    int function(int folder, const char *name, int flags, ...) {                               \
        BITS                                                                                   \
        NEXT(int, function, int, const char *, int, ...)                                       \
        int act = at_opening(folder, name, flags);                                             \
        if (act == MIDDLE) die();                                                              \
        FINISH(act, -1, next(folder, name, flags, bits));                                      \
    }
OPENAT(openat)
OPENAT(openat64)
