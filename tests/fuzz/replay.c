/* Runs a fuzz target without libFuzzer over the files of the folders that are named: corpus and past crashes.
 */
#include "fuzz.h"

#include <dirent.h>

static size_t replay_file(const char *path) {
    FILE *file = fopen(path, "rb");
    HOLDS(file && fseek(file, 0, SEEK_END) == 0);
    size_t size = (size_t)ftell(file);
    uint8_t *data = malloc(size); /* of the exact size, so that what reads beyond it is caught */
    rewind(file);
    HOLDS((data || size == 0) && fread(data, 1, size, file) == size);
    fclose(file);
    fprintf(stderr, "%s\n", path);
    LLVMFuzzerTestOneInput(data, size);
    free(data);
    return 1;
}

static size_t replay_folder(const char *folder) {
    DIR *entries = opendir(folder);
    size_t count = 0;
    if (!entries)
        return 0;
    for (const struct dirent *entry; (entry = readdir(entries)) != NULL;) {
        char path[4096];
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        if (entry->d_name[0] != '.')
            count += replay_file(path);
    }
    closedir(entries);
    return count;
}

int main(int argc, char *argv[]) {
    size_t count = 0;
    for (int i = 1; i < argc; i++)
        count += replay_folder(argv[i]);
    fprintf(stderr, "%zu files\n", count);
    return count > 0 ? 0 : 1;
}
