// A disk that can be cut off, fill up, fail to sync, and lie.
//
// Preloaded into the gateway, it stands between the program and the files below one directory. It
// remembers, for every page that was written and not synced, what was there at the last sync, and
// so for sizes of files and entries of directories. A cut of power throws a random part of all that
// away and kills the process; what was synced stays, as on a disk that keeps its word.
//
//   SEALWAY_DISK            the control file: one page of numbers, shared with the test (enum below)
//   SEALWAY_DISK_DIRECTORY  the directory, as an absolute path without links
//
// Between two syncs a page has only its old and its newest content, or a mixture by sectors; what
// is written through `mmap` is not seen (SQLite's `-shm`, which is made anew at each start).

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

// The numbers of the control file. The first ones are the test's, the last ones are ours.
enum {
    SEED,           // of the entropy
    CUT_AT_WRITE,   // the power goes at the n-th change of a file or a directory; 0: never
    CUT_AT_SYNC,    // the power goes at the n-th sync, before it has happened; 0: never
    LIES,           // syncs say yes and do nothing
    ROOM,           // by so many bytes files may still grow
    FAIL_SYNCS,     // so many syncs fail, and what they were to keep is never written
    SYNC_MICROS,    // a sync takes so long
    WRITES,         // how many changes there were
    SYNCS,          // how many syncs there were
    CUT,            // 1 once the power is gone
    UNSYNCED,       // pages that were at stake
    THROWN,         // pages that were thrown away, whole or in part
    UNDONE,         // changes of directories that were undone
    NUMBERS
};

enum { PAGE = 4096, SECTOR = 512, DESCRIPTORS = 65536, FILES = 4096, CHANGES = 4096 };

typedef struct {
    unsigned char **before; // by the number of the page; NULL: as synced
    size_t length;
} Pages;

typedef struct {
    dev_t device;
    ino_t inode;
    int fd;        // our own; never closed, because closing it would drop SQLite's locks
    bool directory;
    char path[PATH_MAX]; // of a directory
    off_t size;    // at the last sync
    Pages unsynced;
    bool syncing;  // a sync is under way: these pages may or may not be on the disk
    Pages under_way;
    Pages doomed;  // a sync of them has failed, and the system has forgotten them
} File;

typedef struct {
    enum { MADE, REMOVED, MOVED } kind;
    char path[PATH_MAX];
    char from[PATH_MAX]; // MOVED
    char kept[PATH_MAX]; // what was there before, under another name; empty: nothing
} Change;

static volatile uint64_t *control;
static char directory[PATH_MAX];
static char spare[PATH_MAX]; // where what was removed is kept until that is synced
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t synced = PTHREAD_COND_INITIALIZER;
static File *files[FILES];
static size_t file_count;
static File *volatile descriptors[DESCRIPTORS];
static Change *changes[CHANGES];
static size_t change_count;
static uint64_t dice_state;

#define REAL(name) ((__typeof__(&name))real(#name))

static void *real(const char *name) { return dlsym(RTLD_NEXT, name); }

static void fail(const char *what) {
    fprintf(stderr, "disk.c: %s: %s\n", what, strerror(errno));
    _exit(70);
}

static uint64_t random_bits(void) {
    uint64_t z = (dice_state += 0x9e3779b97f4a7c15ULL);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
}

// ── what was there at the last sync ──

static off_t size_of(int fd) {
    struct stat found;
    if (fstat(fd, &found) != 0) fail("fstat");
    return found.st_size;
}

static void make_room(Pages *pages, size_t length) {
    if (pages->length >= length) return;
    size_t more = length + length / 2 + 64;
    pages->before = realloc(pages->before, more * sizeof *pages->before);
    if (!pages->before) fail("realloc");
    memset(pages->before + pages->length, 0, (more - pages->length) * sizeof *pages->before);
    pages->length = more;
}

static void forget(Pages *pages) {
    for (size_t n = 0; n < pages->length; n++) free(pages->before[n]);
    free(pages->before);
    *pages = (Pages){0};
}

// Keeps the first word on each page: `older` is what was there before `newer`.
static void add(Pages *older, Pages *newer) {
    make_room(older, newer->length);
    for (size_t n = 0; n < newer->length; n++) {
        if (!newer->before[n] || older->before[n]) continue;
        older->before[n] = newer->before[n];
        newer->before[n] = NULL;
    }
    forget(newer);
}

static void remember(File *file, off_t from, off_t to) {
    if (to <= from) return;
    size_t last = (size_t)((to - 1) / PAGE);
    make_room(&file->unsynced, last + 1);
    for (size_t n = (size_t)(from / PAGE); n <= last; n++) {
        if (file->unsynced.before[n]) continue;
        unsigned char *page = calloc(1, PAGE);
        if (!page || pread(file->fd, page, PAGE, (off_t)n * PAGE) < 0) fail("pread");
        file->unsynced.before[n] = page;
    }
}

// ── the cut ──

static void throw_away(File *file, Pages *pages, off_t end, unsigned percent) {
    for (size_t n = 0; n < pages->length; n++) {
        if (!pages->before[n]) continue;
        control[UNSYNCED]++;
        off_t at = (off_t)n * PAGE;
        if (at >= end || random_bits() % 100 >= percent) continue;
        control[THROWN]++;
        bool torn = random_bits() % 4 == 0;
        for (int s = 0; s < PAGE; s += SECTOR) {
            if (torn && random_bits() % 2) continue;
            ssize_t put = REAL(pwrite)(file->fd, pages->before[n] + s, SECTOR, at + s);
            if (put != SECTOR) fail("pwrite");
        }
    }
}

static void cut_file(File *file, unsigned percent) {
    off_t now = size_of(file->fd), end = now;
    if (random_bits() % 100 < percent) {
        if (now < file->size) end = file->size;
        else end = now - (off_t)(random_bits() % (uint64_t)(now - file->size + 1));
        if (end > file->size) end = (end + PAGE - 1) / PAGE * PAGE;
        if (end > now && now > file->size) end = now;
    }
    // A truncation that did not happen: what it took away is back.
    for (size_t n = (size_t)(now / PAGE); n < file->unsynced.length && end > now; n++)
        if (file->unsynced.before[n])
            REAL(pwrite)(file->fd, file->unsynced.before[n], PAGE, (off_t)n * PAGE);
    throw_away(file, &file->unsynced, end, percent);
    throw_away(file, &file->under_way, end, percent);
    throw_away(file, &file->doomed, end, 100);
    if (REAL(ftruncate)(file->fd, end) != 0) fail("ftruncate");
}

static void undo(Change *change) {
    control[UNDONE]++;
    if (change->kind == MADE) REAL(unlink)(change->path);
    if (change->kind == MOVED) REAL(rename)(change->path, change->from);
    if (change->kept[0]) REAL(rename)(change->kept, change->path);
}

// Called with the lock, which is never let go: nothing else reaches the disk.
static void cut(void) {
    static const unsigned moods[] = {0, 20, 50, 80, 100};
    dice_state = control[SEED];
    unsigned percent = moods[random_bits() % 5];
    for (size_t n = 0; n < file_count; n++)
        if (!files[n]->directory) cut_file(files[n], percent);
    size_t lost = percent == 0 ? 0 : percent == 100 ? change_count : random_bits() % (change_count + 1);
    for (size_t n = 0; n < lost; n++) undo(changes[change_count - 1 - n]);
    control[CUT] = 1;
    for (;;) kill(getpid(), SIGKILL);
}

// ── which files are ours ──

static File *file_at(int fd) {
    if (!control || fd < 0 || fd >= DESCRIPTORS) return NULL;
    return descriptors[fd];
}

static bool inside(const char *path) {
    size_t length = strlen(directory);
    size_t end = strlen(path);
    bool shared = end > 4 && strcmp(path + end - 4, "-shm") == 0;
    return !shared && strncmp(path, directory, length) == 0
        && (path[length] == '/' || path[length] == 0);
}

static void absolute(const char *path, char out[PATH_MAX]) {
    char here[PATH_MAX] = "";
    if (path[0] != '/' && !getcwd(here, sizeof here)) fail("getcwd");
    if (snprintf(out, PATH_MAX, "%s%s%s", here, here[0] ? "/" : "", path) >= PATH_MAX)
        fail("a path is too long");
}

static Change *note(int kind, const char *path) {
    if (change_count == CHANGES) fail("too many changes of directories");
    Change *change = calloc(1, sizeof *change);
    if (!change) fail("calloc");
    change->kind = kind;
    strcpy(change->path, path);
    changes[change_count++] = change;
    return change;
}

static void keep(Change *change) {
    static unsigned number;
    char name[PATH_MAX];
    int length = snprintf(name, sizeof name, "%s.%u", spare, number++);
    if (length < PATH_MAX && link(change->path, name) == 0) strcpy(change->kept, name);
}

static void opened(int fd, bool made) {
    char link_name[64], path[PATH_MAX];
    snprintf(link_name, sizeof link_name, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link_name, path, sizeof path - 1);
    if (fd >= DESCRIPTORS || length < 0) return;
    path[length] = 0;
    descriptors[fd] = NULL;
    struct stat found;
    if (!inside(path) || fstat(fd, &found) != 0) return;
    if (!S_ISREG(found.st_mode) && !S_ISDIR(found.st_mode)) return;
    File *file = NULL;
    for (size_t n = 0; n < file_count && !file; n++)
        if (files[n]->inode == found.st_ino && files[n]->device == found.st_dev) file = files[n];
    if (!file) {
        if (file_count == FILES || !(file = calloc(1, sizeof *file))) fail("too many files");
        bool is_directory = S_ISDIR(found.st_mode);
        int how = (is_directory ? O_RDONLY : O_RDWR) | O_CLOEXEC;
        *file = (File){.device = found.st_dev, .inode = found.st_ino, .size = found.st_size,
                       .directory = is_directory, .fd = REAL(open)(link_name, how)};
        if (file->fd < 0) { free(file); return; } // read-only for us: nobody writes to it
        strcpy(file->path, path);
        files[file_count++] = file;
    }
    if (made) note(MADE, path);
    descriptors[fd] = file;
}

// A change is about to be made: counts it, and cuts the power if its time has come.
static void about_to_change(void) {
    if (++control[WRITES] == control[CUT_AT_WRITE]) cut();
}

// Whether a file may grow so far.
static bool grows(File *file, off_t end) {
    off_t now = size_of(file->fd);
    if (end <= now || control[ROOM] == UINT64_MAX) return true;
    uint64_t more = (uint64_t)(end - now);
    if (more > control[ROOM]) return false;
    control[ROOM] -= more;
    return true;
}

static void give_back(off_t bytes) {
    if (control[ROOM] != UINT64_MAX && bytes > 0) control[ROOM] += (uint64_t)bytes;
}

// ── what is asked of the disk ──

static int sync_directory(File *file) {
    size_t left = 0;
    for (size_t n = 0; n < change_count; n++) {
        char *name = strrchr(changes[n]->path, '/');
        size_t length = (size_t)(name - changes[n]->path);
        bool here = strlen(file->path) == length
            && strncmp(changes[n]->path, file->path, length) == 0;
        if (!here) { changes[left++] = changes[n]; continue; }
        if (changes[n]->kept[0]) REAL(unlink)(changes[n]->kept);
        free(changes[n]);
    }
    change_count = left;
    return 0;
}

static int sync_file(File *file) {
    while (file->syncing) pthread_cond_wait(&synced, &lock);
    file->syncing = true;
    file->under_way = file->unsynced;
    file->unsynced = (Pages){0};
    off_t size = size_of(file->fd);
    // Others go on meanwhile; what they write now is not part of this sync.
    pthread_mutex_unlock(&lock);
    usleep((useconds_t)control[SYNC_MICROS]);
    pthread_mutex_lock(&lock);
    for (size_t n = 0; n < file->under_way.length && n < file->doomed.length; n++) {
        if (!file->under_way.before[n]) continue;
        free(file->doomed.before[n]);
        file->doomed.before[n] = NULL;
    }
    forget(&file->under_way);
    file->size = size;
    file->syncing = false;
    pthread_cond_broadcast(&synced);
    return 0;
}

static int sync_any(int fd, int (*otherwise)(int)) {
    File *file = file_at(fd);
    if (!file) return otherwise(fd);
    pthread_mutex_lock(&lock);
    if (++control[SYNCS] == control[CUT_AT_SYNC]) cut();
    int outcome = 0;
    if (control[FAIL_SYNCS] > 0) {
        control[FAIL_SYNCS]--;
        add(&file->doomed, &file->unsynced);
        errno = EIO;
        outcome = -1;
    } else if (!control[LIES]) {
        outcome = file->directory ? sync_directory(file) : sync_file(file);
    }
    pthread_mutex_unlock(&lock);
    return outcome;
}

static ssize_t write_any(File *file, int fd, const void *bytes, size_t count, off_t at) {
    pthread_mutex_lock(&lock);
    about_to_change();
    off_t from = at;
    if (at < 0) {
        int flags = fcntl(fd, F_GETFL);
        from = flags & O_APPEND ? size_of(fd) : lseek(fd, 0, SEEK_CUR);
    }
    ssize_t done = -1;
    if (grows(file, from + (off_t)count)) {
        remember(file, from, from + (off_t)count);
        done = at < 0 ? REAL(write)(fd, bytes, count) : REAL(pwrite)(fd, bytes, count, at);
    } else {
        errno = ENOSPC;
    }
    int error = errno;
    pthread_mutex_unlock(&lock);
    errno = error;
    return done;
}

static int truncate_any(File *file, int fd, off_t length) {
    pthread_mutex_lock(&lock);
    about_to_change();
    off_t now = size_of(file->fd);
    int outcome = -1;
    if (grows(file, length)) {
        remember(file, length / PAGE * PAGE, now);
        outcome = REAL(ftruncate)(fd, length);
        if (outcome == 0) give_back(now - length);
    } else {
        errno = ENOSPC;
    }
    int error = errno;
    pthread_mutex_unlock(&lock);
    errno = error;
    return outcome;
}

static int open_any(int at, const char *path, int flags, mode_t mode) {
    if (!control) return REAL(openat)(at, path, flags, mode);
    pthread_mutex_lock(&lock);
    bool missing = (flags & O_CREAT) && faccessat(at, path, F_OK, 0) != 0;
    int fd = REAL(openat)(at, path, flags & ~O_TRUNC, mode);
    int error = errno;
    if (fd >= 0) opened(fd, missing);
    pthread_mutex_unlock(&lock);
    // Emptying is a change like others, and must leave what was there to be remembered.
    if (fd >= 0 && (flags & O_TRUNC) && !missing) ftruncate(fd, 0);
    errno = error;
    return fd;
}

// ── the calls, as the C library names them ──

#define MODE_OF(flags)                                                                             \
    mode_t mode = 0;                                                                               \
    if ((flags) & (O_CREAT | O_TMPFILE)) {                                                         \
        va_list more;                                                                              \
        va_start(more, flags);                                                                     \
        mode = va_arg(more, mode_t);                                                               \
        va_end(more);                                                                              \
    }

int open(const char *path, int flags, ...) { MODE_OF(flags) return open_any(AT_FDCWD, path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE_OF(flags) return open_any(AT_FDCWD, path, flags, mode); }
int openat(int at, const char *path, int flags, ...) { MODE_OF(flags) return open_any(at, path, flags, mode); }
int openat64(int at, const char *path, int flags, ...) { MODE_OF(flags) return open_any(at, path, flags, mode); }

int close(int fd) {
    if (file_at(fd)) descriptors[fd] = NULL;
    return REAL(close)(fd);
}

ssize_t write(int fd, const void *bytes, size_t count) {
    File *file = file_at(fd);
    return file ? write_any(file, fd, bytes, count, -1) : REAL(write)(fd, bytes, count);
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
    if (!file_at(fd) || count == 0) return REAL(writev)(fd, parts, count);
    return write(fd, parts[0].iov_base, parts[0].iov_len); // a short write is allowed
}

ssize_t pwrite(int fd, const void *bytes, size_t count, off_t at) {
    File *file = file_at(fd);
    return file ? write_any(file, fd, bytes, count, at) : REAL(pwrite)(fd, bytes, count, at);
}

ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t at) { return pwrite(fd, bytes, count, at); }

int ftruncate(int fd, off_t length) {
    File *file = file_at(fd);
    return file ? truncate_any(file, fd, length) : REAL(ftruncate)(fd, length);
}

int ftruncate64(int fd, off64_t length) { return ftruncate(fd, length); }

int fsync(int fd) { return sync_any(fd, REAL(fsync)); }
int fdatasync(int fd) { return sync_any(fd, REAL(fdatasync)); }

int rename(const char *from, const char *to) {
    char source[PATH_MAX], target[PATH_MAX];
    absolute(from, source);
    absolute(to, target);
    if (!control || !inside(target)) return REAL(rename)(from, to);
    pthread_mutex_lock(&lock);
    about_to_change();
    Change *change = note(MOVED, target);
    strcpy(change->from, source);
    keep(change);
    int outcome = REAL(rename)(from, to), error = errno;
    if (outcome != 0) change_count--;
    pthread_mutex_unlock(&lock);
    errno = error;
    return outcome;
}

int unlinkat(int at, const char *path, int flags) {
    char target[PATH_MAX];
    absolute(path, target);
    bool ours = control && (at == AT_FDCWD || path[0] == '/') && !(flags & AT_REMOVEDIR);
    if (!ours || !inside(target)) return REAL(unlinkat)(at, path, flags);
    pthread_mutex_lock(&lock);
    about_to_change();
    struct stat found = {0};
    bool there = stat(target, &found) == 0;
    Change *change = note(REMOVED, target);
    keep(change);
    int outcome = REAL(unlinkat)(at, path, flags), error = errno;
    if (outcome != 0) change_count--;
    else if (there && found.st_nlink == 1) give_back(found.st_size);
    pthread_mutex_unlock(&lock);
    errno = error;
    return outcome;
}

int unlink(const char *path) { return unlinkat(AT_FDCWD, path, 0); }

// ── plugging in ──

// What a failed sync has lost shows at the latest when the process has ended.
__attribute__((destructor)) static void plug_out(void) {
    for (size_t n = 0; control && n < file_count; n++)
        throw_away(files[n], &files[n]->doomed, size_of(files[n]->fd), 100);
}

__attribute__((constructor)) static void plug_in(void) {
    const char *numbers = getenv("SEALWAY_DISK"), *below = getenv("SEALWAY_DISK_DIRECTORY");
    if (!numbers || !below) return;
    int fd = REAL(open)(numbers, O_RDWR | O_CLOEXEC);
    if (fd < 0) fail("the control file");
    void *map = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED) fail("mmap");
    snprintf(directory, sizeof directory, "%s", below);
    snprintf(spare, sizeof spare, "%s.kept", numbers);
    control = map;
}
