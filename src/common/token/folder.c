/* The folder of the keys: PEM files, of which current.pem signs. */
#include "private.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

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

/* The names of its PEM files and how many, to be freed with free_names; -1, with words in error, when there
 * is no reading the folder. */
static int folder_list(const char *folder, struct dirent ***names, struct buf *error) {
    *names = NULL;
    int count = scandir(folder, names, is_pem, by_role);
    if (count < 0)
        buf_printf(error, "%s: %s", folder, strerror(errno));
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

bool token_folder_look(const char *folder, struct buf *out, struct buf *error) {
    struct dirent **names;
    int count = folder_list(folder, &names, error);
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

static bool folder_read_keys(struct token_set *set, const char *folder, bool issues, struct dirent **names,
                             int count, struct buf *error) {
    if (count == 0 || count > TOKEN_MAX_KEYS) {
        buf_printf(error, "%s: holds %d *.pem files, not 1 to %d", folder, count, TOKEN_MAX_KEYS);
        return false;
    }
    if (issues && strcmp(names[0]->d_name, current) != 0) {
        buf_printf(error, "%s: holds no %s", folder, current);
        return false;
    }
    for (int i = 0; i < count; i++) {
        const char *fault = folder_read_key(folder, names[i]->d_name, issues, &set->keys[set->count++]);
        if (fault) {
            buf_printf(error, "%s/%s: %s", folder, names[i]->d_name, fault);
            return false;
        }
    }
    if (issues)
        set->signing = &set->keys[0];
    return true;
}

struct token_set *token_folder_read(const char *folder, bool issues, struct buf *error) {
    struct dirent **names;
    int count = folder_list(folder, &names, error);
    struct token_set *set = count >= 0 ? token_set_new() : NULL;
    if (set && !folder_read_keys(set, folder, issues, names, count, error)) {
        token_set_free(set);
        set = NULL;
    }
    folder_free_names(names, count);
    return set;
}
