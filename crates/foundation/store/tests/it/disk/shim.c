/* A disk that fails on demand, and that forgets what was never synced: preloaded into the child processes of the fault
 * tests. x86-64 Linux.
 *
 * A seccomp filter turns every system call that changes files into a signal, whoever makes it (libc or not), and the
 * handler makes the call itself: it counts it, fails it, or first notes down how to undo it. A sync takes the notes away.
 * A power cut undoes what notes are left and ends the process.
 *
 * What a file holds: writes and lengths are kept by a sync of the file; a cut drops all of them, a tail of them, or any of
 * their pages. What a folder holds: names are kept by a sync of the folder, and lost in order from the last, as journalling
 * file systems lose them. A failed sync reports once and loses its pages for good, though they can still be read: later
 * syncs succeed and do not bring them back (`DISK_LOST` carries that over to the next process).
 *
 * DISK_ROOT=folder                what lies below it is the disk
 * DISK_SPARE=folder               on the same file system, for names that may have to come back
 * DISK_DO=what:n[:action][:on]    what: write, sync, any, space; n: at the n-th of them, space: bytes that fit
 *                                 action: eio, short, enospc, cut; on: part of a path, so that only such files count
 * DISK_SEED=n                     which of the unsynced things a cut drops
 * DISK_LOST=file                  where pages that a failed sync has lost are remembered
 * DISK_COUNT=file                 where the number of writes and syncs is written at the end: a dry run
 * DISK_LOG=file                   what the cut took away
 * DISK_AGAIN=file                 made when a file is synced again after its sync failed in the same process
 * DISK_BOOT=file                  what /proc/sys/kernel/random/boot_id shall say
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <ucontext.h>
#include <unistd.h>

/* In an argument that no call below uses: lets our own calls through the filter. */
#define OURS 0x4c414d42L
#define PAGE 4096

enum class { NONE, WRITE, SYNC, ANY, SPACE };
enum action { EIO_, SHORT_, ENOSPC_, CUT };

struct change { /* Of a file: bytes at `at` were `old` (shorter at its then end), and it was `length` long. */
    struct change *before;
    ino_t file;
    int lost; /* By a failed sync: no later sync keeps it. */
    off_t at, length;
    size_t bytes, old_bytes;
    char *old;
    int fd;
};
enum kind { MADE, MADE_FOLDER, RENAMED, REMOVED, REMOVED_FOLDER };
struct name { /* Of a folder. */
    struct name *before;
    enum kind kind;
    char path[PATH_MAX], from[PATH_MAX], spare[PATH_MAX];
    mode_t mode;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct change *changes;
static struct name *names;
static char root[PATH_MAX], spare[PATH_MAX], only[64];
static const char *lost_file, *count_file, *again_file, *boot_file;
static FILE *taken;
static enum class what;
static enum action action;
static long countdown = -1, counted;
static int64_t space = -1;
static uint64_t seed;
static int spares;
static ino_t failed_sync;
/* Set while the handler runs: what it calls on the way goes straight through. */
static __thread int inside;

static long call(long nr, long a, long b, long c, long d, long e) { return syscall(nr, a, b, c, d, e, OURS); }

static uint64_t any(uint64_t limit) {
    uint64_t mixed = seed += 0x9e3779b97f4a7c15u;
    mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9u;
    mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebu;
    return limit ? (mixed ^ (mixed >> 31)) % limit : 0;
}

static int below_root(const char *path) {
    size_t length = strlen(root);
    return length && !strncmp(path, root, length) && (path[length] == '/' || !path[length]);
}

static int path_of(int fd, char *path) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t got = readlink(link, path, PATH_MAX - 1);
    if (got <= 0) return 0;
    path[got] = 0;
    return below_root(path);
}

/* An absolute path, with no care for links: the store makes none in its own folders. */
static int resolve(int at, const char *given, char *path) {
    if (given[0] == '/') snprintf(path, PATH_MAX, "%s", given);
    else {
        char base[PATH_MAX], link[64];
        snprintf(link, sizeof link, at == AT_FDCWD ? "/proc/self/cwd" : "/proc/self/fd/%d", at);
        ssize_t got = readlink(link, base, sizeof base - 1);
        if (got <= 0) return 0;
        base[got] = 0;
        if ((size_t)snprintf(path, PATH_MAX, "%s/%s", base, given) >= PATH_MAX) return 0;
    }
    return below_root(path);
}

static int counts(const char *path, enum class class) {
    if (only[0] && !strstr(path, only)) return 0;
    counted += class == WRITE || class == SYNC;
    return what == class || what == ANY;
}

/* True if this call is the one to fail. */
static int due(const char *path, enum class class) { return counts(path, class) && countdown > 0 && --countdown == 0; }

static struct change *note(int fd, off_t at, size_t bytes) {
    char link[64];
    struct stat now;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    struct change *change = calloc(1, sizeof *change);
    change->fd = open(link, O_RDWR | O_CLOEXEC);
    if (change->fd < 0) change->fd = dup(fd); /* Its mode forbids it, so it is being made: nothing of it need be read. */
    if (change->fd < 0 || fstat(change->fd, &now)) abort();
    *change = (struct change){changes, now.st_ino, 0, at, now.st_size, bytes, 0, 0, change->fd};
    if (at < now.st_size) {
        change->old = malloc(bytes);
        ssize_t got = pread(change->fd, change->old, bytes, at);
        if (got < 0) abort();
        change->old_bytes = got;
    }
    return changes = change;
}

static void drop(struct change **place) {
    struct change *gone = *place;
    *place = gone->before;
    close(gone->fd);
    free(gone->old);
    free(gone);
}

/* Bytes written anew are not lost any more, if a later sync keeps them: the notes shrink to what was not written. */
static void rewritten(ino_t file, off_t at, size_t bytes) {
    for (struct change **place = &changes; *place;) {
        struct change *c = *place;
        off_t end = at + bytes, c_end = c->at + c->bytes;
        if (c->file != file || !c->lost || c->at >= end || c_end <= at) { place = &c->before; continue; }
        if (c->at >= at && c_end <= end) { drop(place); continue; }
        if (c->at < at) { /* keep the head */
            c->bytes = at - c->at;
            if (c->old_bytes > c->bytes) c->old_bytes = c->bytes;
        } else { /* keep the tail */
            size_t cut = end - c->at;
            c->at = end;
            c->bytes -= cut;
            if (c->old_bytes > cut) memmove(c->old, c->old + cut, c->old_bytes -= cut);
            else c->old_bytes = 0;
        }
        place = &c->before;
    }
}

/* Puts back what was there, all of it or the pages that chance chooses. */
static void undo(struct change *c, int all, int torn) {
    for (size_t at = 0; at < c->bytes;) {
        size_t step = PAGE - (c->at + at) % PAGE;
        if (step > c->bytes - at) step = c->bytes - at;
        if (all || (torn && any(2))) {
            char old[PAGE] = {0};
            if (at < c->old_bytes) memcpy(old, c->old + at, c->old_bytes - at < step ? c->old_bytes - at : step);
            if (call(SYS_pwrite64, c->fd, (long)old, step, c->at + at, 0) < 0) abort();
        }
        at += step;
    }
    struct stat now;
    if (all && !fstat(c->fd, &now) && now.st_size != c->length && call(SYS_ftruncate, c->fd, c->length, 0, 0, 0)) abort();
}

static void undo_name(struct name *n) {
    static const char *KINDS[] = {"made", "made folder", "renamed", "removed", "removed folder"};
    if (taken) fprintf(taken, "%s %s %s\n", KINDS[n->kind], n->path, n->from);
    /* A path that is not there any more was part of something undone already, or moved by something that was kept. */
    switch (n->kind) {
    case MADE: call(SYS_unlinkat, AT_FDCWD, (long)n->path, 0, 0, 0); break;
    case MADE_FOLDER: /* with all that is in it */
        call(SYS_renameat2, AT_FDCWD, (long)n->path, AT_FDCWD, (long)n->spare, 0);
        break;
    case RENAMED:
        call(SYS_renameat2, AT_FDCWD, (long)n->path, AT_FDCWD, (long)n->from, 0);
        /* fallthrough */
    case REMOVED:
        if (n->spare[0]) call(SYS_renameat2, AT_FDCWD, (long)n->spare, AT_FDCWD, (long)n->path, 0);
        break;
    case REMOVED_FOLDER: call(SYS_mkdirat, AT_FDCWD, (long)n->path, n->mode, 0, 0); break;
    }
}

static void power_cut(void) {
    int manner = any(3), keep = any(2);
    const char *log = getenv("DISK_LOG");
    taken = log ? fopen(log, "w") : 0;
    if (taken) fprintf(taken, "manner %d\n", manner);
    long left = 0, stay = 0;
    for (struct change *c = changes; c; c = c->before) left += !c->lost;
    if (manner == 1) stay = any(left + 1);
    for (struct change *c = changes; c; c = c->before) {
        /* Newest first. The oldest `stay` of them got as far as the disk by themselves. */
        char path[PATH_MAX] = "";
        path_of(c->fd, path);
        if (taken) fprintf(taken, "%s write %s at %ld of %zu\n", c->lost ? "lost" : "unsynced", path, (long)c->at, c->bytes);
        int all = manner == 0 || c->lost || (manner == 1 && left > stay);
        left -= !c->lost;
        undo(c, all, manner == 2);
    }
    long pending = 0;
    for (struct name *n = names; n; n = n->before) pending++;
    if (keep) pending = any(pending + 1);
    for (struct name *n = names; n && pending--; n = n->before) undo_name(n);
    if (taken) fclose(taken);
    kill(getpid(), SIGKILL);
    for (;;) pause();
}

static void synced(int fd, const char *path) {
    struct stat now;
    if (fstat(fd, &now)) abort();
    if (!S_ISDIR(now.st_mode)) {
        for (struct change **place = &changes; *place;)
            if ((*place)->file == now.st_ino && !(*place)->lost) drop(place);
            else place = &(*place)->before;
        return;
    }
    for (struct name **place = &names; *place;) {
        struct name *n = *place;
        const char *last = strrchr(n->path, '/');
        if ((size_t)(last - n->path) == strlen(path) && !strncmp(n->path, path, last - n->path)) {
            *place = n->before;
            if (n->spare[0] && n->kind != MADE_FOLDER) call(SYS_unlinkat, AT_FDCWD, (long)n->spare, 0, 0, 0);
            free(n);
        } else place = &n->before;
    }
}

static void lose(int fd) {
    struct stat now;
    if (fstat(fd, &now)) abort();
    FILE *out = lost_file ? fopen(lost_file, "w") : 0;
    for (struct change *c = changes; c; c = c->before) {
        char path[PATH_MAX];
        if (c->file == now.st_ino) c->lost = 1;
        if (!out || !c->lost || !path_of(c->fd, path)) continue;
        fprintf(out, "%s %ld %ld %zu %zu ", path, (long)c->at, (long)c->length, c->bytes, c->old_bytes);
        fwrite(c->old, 1, c->old_bytes, out);
        fputc('\n', out);
    }
    if (out) fclose(out);
}

static void remember_lost(void) {
    FILE *in = lost_file ? fopen(lost_file, "r") : 0;
    char path[PATH_MAX];
    long at, length;
    size_t bytes, old_bytes;
    struct change **last = &changes;
    while (in && fscanf(in, "%4095s %ld %ld %zu %zu", path, &at, &length, &bytes, &old_bytes) == 5) {
        struct stat now;
        struct change *c = calloc(1, sizeof *c);
        fgetc(in);
        c->old = malloc(old_bytes + 1);
        if (fread(c->old, 1, old_bytes, in) != old_bytes) abort();
        c->fd = open(path, O_RDWR | O_CLOEXEC);
        if (c->fd < 0 || fstat(c->fd, &now)) { free(c->old); free(c); continue; }
        *c = (struct change){0, now.st_ino, 1, at, length, bytes, old_bytes, c->old, c->fd};
        *last = c;
        last = &c->before;
    }
    if (in) fclose(in);
}

static long do_write(long nr, const long *a) {
    char path[PATH_MAX];
    int fd = a[0];
    struct stat now;
    if (!path_of(fd, path) || fstat(fd, &now) || !S_ISREG(now.st_mode)) return call(nr, a[0], a[1], a[2], a[3], 0);
    size_t bytes = a[2];
    off_t at = nr == SYS_pwrite64 ? a[3] : (fcntl(fd, F_GETFL) & O_APPEND) ? now.st_size : lseek(fd, 0, SEEK_CUR);
    if (nr == SYS_writev) /* One part at a time: a short write is allowed, and std tries again. */
        for (int part = bytes = 0; part < a[2] && !bytes; part++) {
            const struct iovec *iov = (const struct iovec *)a[1] + part;
            if (iov->iov_len) return do_write(SYS_write, (long[]){fd, (long)iov->iov_base, iov->iov_len, 0});
        }
    if (due(path, WRITE)) {
        if (action == EIO_) return -EIO;
        if (action == ENOSPC_) { space = 0; return -ENOSPC; }
        if (action == SHORT_) { bytes = (bytes + 1) / 2; what = WRITE; action = EIO_; countdown = 1; }
        if (action == CUT) {
            note(fd, at, bytes);
            call(nr, a[0], a[1], a[2], a[3], 0);
            power_cut();
        }
    }
    /* Only what makes a file longer takes space. Whoever waits for some gets what there is first. */
    if (space >= 0 && at + (off_t)bytes > now.st_size) {
        if (!space) return -ENOSPC;
        if ((size_t)space < bytes) bytes = space;
        space -= bytes;
    }
    rewritten(now.st_ino, at, bytes);
    note(fd, at, bytes);
    long done = call(nr, fd, a[1], bytes, a[3], 0);
    return done < 0 ? -errno : done;
}

static long do_sync(long nr, const long *a) {
    char path[PATH_MAX];
    if (!path_of(a[0], path)) return call(nr, a[0], 0, 0, 0, 0) < 0 ? -errno : 0;
    if (due(path, SYNC)) {
        if (action == CUT) {
            if (any(2)) synced(a[0], path);
            power_cut();
        }
        struct stat now;
        if (!fstat(a[0], &now)) failed_sync = now.st_ino;
        lose(a[0]);
        return action == ENOSPC_ ? -ENOSPC : -EIO;
    }
    struct stat again;
    if (again_file && failed_sync && !fstat(a[0], &again) && again.st_ino == failed_sync)
        close(open(again_file, O_CREAT | O_WRONLY, 0600));
    /* The real sync is left out: only the notes count here, and the tests are faster. */
    synced(a[0], path);
    return 0;
}

static long do_truncate(const long *a) {
    char path[PATH_MAX];
    struct stat now;
    if (path_of(a[0], path) && !fstat(a[0], &now)) note(a[0], a[1], now.st_size > a[1] ? now.st_size - a[1] : 0);
    return call(SYS_ftruncate, a[0], a[1], 0, 0, 0) < 0 ? -errno : 0;
}

static struct name *note_name(enum kind kind, const char *path) {
    struct name *n = calloc(1, sizeof *n);
    n->kind = kind;
    snprintf(n->path, PATH_MAX, "%s", path);
    return n;
}

static void commit_name(struct name *n, long done) {
    if (done < 0) { free(n); return; }
    n->before = names;
    names = n;
}

static void keep_spare(struct name *n) {
    snprintf(n->spare, PATH_MAX, "%.4000s/%d-%d", spare, getpid(), spares++);
}

static long do_open(const long *a) {
    char path[PATH_MAX];
    int flags = a[2];
    struct stat now;
    if (boot_file && !strcmp((const char *)a[1], "/proc/sys/kernel/random/boot_id")) {
        int fd = open(boot_file, O_RDONLY | O_CLOEXEC);
        return fd < 0 ? -errno : fd;
    }
    if ((flags & O_TMPFILE) == O_TMPFILE || !resolve(a[0], (const char *)a[1], path))
        goto plain;
    int there = !lstat(path, &now);
    if (there && (flags & O_TRUNC) && S_ISREG(now.st_mode) && now.st_size) {
        int fd = open(path, O_RDWR | O_CLOEXEC);
        if (fd >= 0) { note(fd, 0, now.st_size); close(fd); }
    }
    if (!there && (flags & O_CREAT)) {
        long fd = call(SYS_openat, a[0], a[1], a[2], a[3], 0);
        int failed = errno;
        commit_name(note_name(MADE, path), fd);
        return fd < 0 ? -failed : fd;
    }
plain:;
    long fd = call(SYS_openat, a[0], a[1], a[2], a[3], 0);
    return fd < 0 ? -errno : fd;
}

static long do_rename(long from_at, const char *from, long to_at, const char *to, long flags) {
    char source[PATH_MAX], target[PATH_MAX];
    struct name *n = 0;
    if (resolve(from_at, from, source) && resolve(to_at, to, target)) {
        n = note_name(RENAMED, target);
        snprintf(n->from, PATH_MAX, "%s", source);
        struct stat now;
        if (!flags && !lstat(target, &now) && S_ISREG(now.st_mode)) {
            keep_spare(n);
            if (link(target, n->spare)) abort();
        }
    }
    long done = call(SYS_renameat2, from_at, (long)from, to_at, (long)to, flags);
    int failed = errno;
    if (n) commit_name(n, done);
    return done < 0 ? -failed : 0;
}

static long do_remove(long at, const char *given, long flags) {
    char path[PATH_MAX];
    struct stat now;
    struct name *n = 0;
    if (resolve(at, given, path) && !lstat(path, &now)) {
        n = note_name(flags & AT_REMOVEDIR ? REMOVED_FOLDER : REMOVED, path);
        n->mode = now.st_mode & 07777;
        if (S_ISREG(now.st_mode)) {
            keep_spare(n);
            if (link(path, n->spare)) abort();
        }
    }
    long done = call(SYS_unlinkat, at, (long)given, flags, 0, 0);
    int failed = errno;
    if (n) commit_name(n, done);
    return done < 0 ? -failed : 0;
}

static long do_mkdir(long at, const char *given, long mode) {
    char path[PATH_MAX];
    long done = call(SYS_mkdirat, at, (long)given, mode, 0, 0);
    int failed = errno;
    if (done >= 0 && resolve(at, given, path)) {
        struct name *n = note_name(MADE_FOLDER, path);
        keep_spare(n);
        commit_name(n, done);
    }
    return done < 0 ? -failed : 0;
}

static void trapped(int signal, siginfo_t *info, void *context) {
    (void)signal;
    greg_t *r = ((ucontext_t *)context)->uc_mcontext.gregs;
    long a[] = {r[REG_RDI], r[REG_RSI], r[REG_RDX], r[REG_R10], r[REG_R8]}, done;
    if (inside) {
        r[REG_RAX] = call(info->si_syscall, a[0], a[1], a[2], a[3], a[4]);
        if (r[REG_RAX] < 0) r[REG_RAX] = -errno;
        return;
    }
    int before = errno;
    inside = 1;
    pthread_mutex_lock(&lock);
    switch (info->si_syscall) {
    case SYS_write: case SYS_pwrite64: case SYS_writev:
        done = do_write(info->si_syscall, a);
        if (done == -1) done = -errno;
        break;
    case SYS_fsync: case SYS_fdatasync: done = do_sync(info->si_syscall, a); break;
    case SYS_ftruncate: done = do_truncate(a); break;
    case SYS_open: done = do_open((long[]){AT_FDCWD, a[0], a[1], a[2]}); break;
    case SYS_openat: done = do_open(a); break;
    case SYS_rename: done = do_rename(AT_FDCWD, (char *)a[0], AT_FDCWD, (char *)a[1], 0); break;
    case SYS_renameat: done = do_rename(a[0], (char *)a[1], a[2], (char *)a[3], 0); break;
    case SYS_renameat2: done = do_rename(a[0], (char *)a[1], a[2], (char *)a[3], a[4]); break;
    case SYS_unlink: done = do_remove(AT_FDCWD, (char *)a[0], 0); break;
    case SYS_rmdir: done = do_remove(AT_FDCWD, (char *)a[0], AT_REMOVEDIR); break;
    case SYS_unlinkat: done = do_remove(a[0], (char *)a[1], a[2]); break;
    case SYS_mkdir: done = do_mkdir(AT_FDCWD, (char *)a[0], a[1]); break;
    case SYS_mkdirat: done = do_mkdir(a[0], (char *)a[1], a[2]); break;
    default: done = -ENOSYS; /* copy_file_range and the like: callers fall back to reading and writing. */
    }
    pthread_mutex_unlock(&lock);
    inside = 0;
    errno = before;
    r[REG_RAX] = done;
}

static void say_count(void) {
    FILE *out = fopen(count_file, "w");
    if (out) { fprintf(out, "%ld\n", counted); fclose(out); }
}

static const int TRAPPED[] = {SYS_write, SYS_pwrite64, SYS_writev, SYS_pwritev, SYS_fsync, SYS_fdatasync, SYS_ftruncate,
    SYS_open, SYS_openat, SYS_rename, SYS_renameat, SYS_renameat2, SYS_unlink, SYS_rmdir, SYS_unlinkat, SYS_mkdir,
    SYS_mkdirat, SYS_fallocate, SYS_copy_file_range, SYS_sendfile};
#define N (sizeof TRAPPED / sizeof *TRAPPED)

__attribute__((constructor)) static void start(void) {
    const char *given = getenv("DISK_ROOT"), *todo = getenv("DISK_DO"), *at = getenv("DISK_SEED");
    if (!given) return;
    snprintf(root, sizeof root, "%s", given);
    snprintf(spare, sizeof spare, "%s", getenv("DISK_SPARE"));
    lost_file = getenv("DISK_LOST");
    count_file = getenv("DISK_COUNT");
    again_file = getenv("DISK_AGAIN");
    boot_file = getenv("DISK_BOOT");
    if (count_file) atexit(say_count);
    seed = at ? strtoull(at, 0, 10) : 0;
    char class[16] = "", doing[16] = "";
    if (todo && sscanf(todo, "%15[^:]:%ld:%15[^:]:%63s", class, &countdown, doing, only) >= 2) {
        what = *class == 'w' ? WRITE : *class == 'a' ? ANY : !strcmp(class, "space") ? SPACE : SYNC;
        action = *doing == 'c' ? CUT : *doing == 's' ? SHORT_ : !strcmp(doing, "enospc") ? ENOSPC_ : EIO_;
        if (what == SPACE) { space = countdown; countdown = -1; }
    }
    remember_lost();
    struct sock_filter filter[2 * N + 6];
    size_t i = 0;
    filter[i++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[5]));
    filter[i++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, OURS, 0, 1);
    filter[i++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    filter[i++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    for (size_t n = 0; n < N; n++) {
        filter[i++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, TRAPPED[n], 0, 1);
        filter[i++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP);
    }
    filter[i++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    struct sigaction act = {.sa_sigaction = trapped, .sa_flags = SA_SIGINFO | SA_NODEFER};
    struct sock_fprog program = {i, filter};
    if (sigaction(SIGSYS, &act, 0) || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program)) {
        perror("the disk of the tests");
        _exit(99);
    }
}
