/* The folder of the keys: PEM files, of which current.pem signs. */
#include "private.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char current[] = "current.pem";

static int is_pem(const struct dirent *entry) {
    const char *end = strrchr(entry->d_name, '.');
    return end && end != entry->d_name && strcmp(end, ".pem") == 0;
}

/* current.pem comes first, the others by name. */
static int by_role(const struct dirent **a, const struct dirent **b) {
    bool a_first = strcmp((*a)->d_name, current) == 0, b_first = strcmp((*b)->d_name, current) == 0;
    return a_first != b_first ? b_first - a_first : strcmp((*a)->d_name, (*b)->d_name);
}

/* The names of its PEM files and how many, to be freed with folder_free_names. A folder that is gone has none. -1 when
 * it cannot be read, with the reason in faults. */
static int folder_list(const char *folder, struct dirent ***names, struct buf *faults) {
    *names = NULL;
    int count = scandir(folder, names, is_pem, by_role);
    if (count < 0 && errno == ENOENT)
        return 0;
    if (count < 0)
        buf_printf(faults, "%s: %s", folder, strerror(errno));
    return count;
}

static void folder_free_names(struct dirent **names, int count) {
    for (int i = 0; i < count; i++)
        free(names[i]);
    free(names);
}

static bool folder_path(char path[static PATH_MAX], const char *folder, const char *name) {
    return snprintf(path, PATH_MAX, "%s/%s", folder, name) < PATH_MAX;
}

bool token_folder_look(const char *folder, struct buf *out, struct buf *faults) {
    struct dirent **names;
    int count = folder_list(folder, &names, faults);
    buf_str(out, "");
    for (int i = 0; i < count; i++) {
        char path[PATH_MAX];
        struct stat file;
        if (folder_path(path, folder, names[i]->d_name) && stat(path, &file) == 0) /* else it is just going */
            buf_printf(out, "%s %llu %lld %lld.%09ld\n", names[i]->d_name, (unsigned long long)file.st_ino,
                       (long long)file.st_size, (long long)file.st_mtim.tv_sec, file.st_mtim.tv_nsec);
    }
    folder_free_names(names, count);
    return count >= 0 && !out->failed;
}

/* NULL, or what is wrong with the file. */
static const char *folder_read_key(const char *folder, const char *name, bool issues, struct token_key *key) {
    char path[PATH_MAX];
    const char *fault = "has too long a path";
    if (!folder_path(path, folder, name) || !token_key_of_pem(key, path, &fault))
        return fault;
    if (!issues && key->sign_with)
        return "is a private key, where public ones are enough";
    if (issues && !key->sign_with && strcmp(name, current) == 0)
        return "is a public key, but has to sign";
    return NULL;
}

static void folder_tell(struct buf *faults, const char *folder, const char *name, const char *fault) {
    buf_printf(faults, "%s%s%s%s: %s", faults->len ? ", " : "", folder, name ? "/" : "", name ? name : "",
               fault);
}

/* Each file stands for itself: one that cannot be used leaves the others. A file that has just gone is no fault. False
 * when it is not the file's fault: it is to be read again. */
static bool folder_read_keys(struct token_set *set, const char *folder, bool issues, struct dirent **names,
                             int count, struct buf *faults) {
    for (int i = 0; i < count && set->count < TOKEN_MAX_KEYS; i++) {
        struct token_key *key = &set->keys[set->count];
        const char *fault = folder_read_key(folder, names[i]->d_name, issues, key);
        if (!fault) {
            if (issues && strcmp(names[i]->d_name, current) == 0)
                set->signing = key;
            set->count++;
            continue;
        }
        token_key_done(key);
        if (fault == token_key_shortage) {
            folder_tell(faults, folder, names[i]->d_name, fault);
            return false;
        }
        if (fault != token_key_gone)
            folder_tell(faults, folder, names[i]->d_name, fault);
    }
    return true;
}

/* Without current.pem the key that signed before goes on, as long as the folder has it under another name. */
static void folder_find_signing(struct token_set *set, const struct token_set *before) {
    for (size_t i = 0; !set->signing && before && before->signing && i < set->count; i++)
        if (set->keys[i].sign_with && strcmp(set->keys[i].kid, before->signing->kid) == 0)
            set->signing = &set->keys[i];
}

static void folder_check(const struct token_set *set, const char *folder, bool issues, int count,
                         struct buf *faults) {
    char text[64], path[PATH_MAX];
    if (count > TOKEN_MAX_KEYS) {
        snprintf(text, sizeof text, "holds %d *.pem files, not 1 to %d", count, TOKEN_MAX_KEYS);
        folder_tell(faults, folder, NULL, text);
    }
    if (issues && (!folder_path(path, folder, current) || access(path, F_OK) != 0))
        folder_tell(faults, folder, NULL, "holds no current.pem");
    if (set->count == 0)
        folder_tell(faults, folder, NULL, "has no key that can be used, so no token is good");
    else if (issues && !set->signing)
        folder_tell(faults, folder, NULL, "has no key to sign with, so no tokens are issued");
}

struct token_set *token_folder_read(const char *folder, bool issues, const struct token_set *before,
                                    struct buf *faults) {
    struct dirent **names;
    int count = folder_list(folder, &names, faults);
    struct token_set *set = count >= 0 ? token_set_new() : NULL;
    if (set && !folder_read_keys(set, folder, issues, names, count, faults)) {
        token_set_free(set);
        set = NULL;
    }
    if (set) {
        folder_find_signing(set, before);
        folder_check(set, folder, issues, count, faults);
    }
    folder_free_names(names, count);
    return set;
}
