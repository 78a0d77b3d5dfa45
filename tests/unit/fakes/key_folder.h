/* Keys, and folders of them, made for a test. */
#pragma once

#include <dirent.h>
#include <limits.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FOLDER_SIZE 64

static inline void folder_make(char folder[static FOLDER_SIZE]) {
    strcpy(folder, "/tmp/token-keys-XXXXXX");
    if (!mkdtemp(folder))
        abort();
}

static inline const char *folder_path(const char *folder, const char *name) {
    static char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

/* A key of tests/data: making one takes long, under valgrind minutes. The caller frees it. */
static inline EVP_PKEY *rsa_key(const char *name) {
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/%s", TEST_DATA, name);
    FILE *file = fopen(path, "r");
    EVP_PKEY *key = file ? PEM_read_PrivateKey(file, NULL, NULL, NULL) : NULL;
    if (!key)
        abort();
    fclose(file);
    return key;
}

static inline void folder_remove(const char *folder) {
    DIR *dir = opendir(folder);
    for (struct dirent *entry; dir && (entry = readdir(dir)) != NULL;)
        unlink(folder_path(folder, entry->d_name));
    closedir(dir);
    rmdir(folder);
}

static inline FILE *folder_open(const char *folder, const char *name) {
    FILE *file = fopen(folder_path(folder, name), "w");
    if (!file)
        abort();
    return file;
}

static inline void folder_put_text(const char *folder, const char *name, const char *text) {
    FILE *file = folder_open(folder, name);
    fputs(text, file);
    fclose(file);
}

static inline void folder_put_private(const char *folder, const char *name, EVP_PKEY *key) {
    FILE *file = folder_open(folder, name);
    PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL);
    fclose(file);
}

static inline void folder_put_public(const char *folder, const char *name, EVP_PKEY *key) {
    FILE *file = folder_open(folder, name);
    PEM_write_PUBKEY(file, key);
    fclose(file);
}

static inline void folder_rename(const char *folder, const char *from, const char *to) {
    char old[PATH_MAX];
    strcpy(old, folder_path(folder, from));
    if (rename(old, folder_path(folder, to)) != 0)
        abort();
}
