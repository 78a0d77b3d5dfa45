/* The .env file: NAME=value lines, for the process's environment. */
#include "common/config/config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE_SIZE 8192

static const char name_characters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_";

static char *env_skip_blanks(char *text) {
    return text + strspn(text, " \t\r\n");
}

/* Removes a comment (a # at the start or after a blank) and trailing blanks. */
static char *plain_value(char *text) {
    size_t end = 0;
    for (size_t i = 0; text[i] && !(text[i] == '#' && (i == 0 || end < i)); i++)
        if (!strchr(" \t\r\n", text[i]))
            end = i + 1;
    text[end] = '\0';
    return text;
}

/* The text between the quotes, unchanged. NULL when a quote is missing or text follows the closing one. */
static char *quoted_value(char *text) {
    char *end = strchr(text + 1, *text);
    if (!end)
        return NULL;
    const char *rest = env_skip_blanks(end + 1);
    if (*rest != '\0' && *rest != '#')
        return NULL;
    *end = '\0';
    return text + 1;
}

/* Takes a variable of the file. Returns NULL, or an error message. */
typedef const char *take_fn(void *cls, const char *name, const char *value);

static const char *take_into_environment(void *cls, const char *name, const char *value) {
    (void)cls;
    return setenv(name, value, 0) == 0 ? NULL : strerror(errno);
}

struct wanted {
    const char *name;
    struct buf *out;
    bool found;
};

/* As in the environment, the first of several counts. */
static const char *take_wanted(void *cls, const char *name, const char *value) {
    struct wanted *wanted = cls;
    if (strcmp(name, wanted->name) == 0 && !wanted->found) {
        wanted->found = true;
        buf_str(wanted->out, value);
    }
    return wanted->out->failed ? "out of memory" : NULL;
}

/* Returns NULL, or an error message about the line. */
static const char *read_line(char *line, take_fn *take, void *cls) {
    char *name = env_skip_blanks(line);
    if (*name == '\0' || *name == '#')
        return NULL;
    size_t len = strspn(name, name_characters);
    if (len == 0 || name[len] != '=')
        return "is not NAME=value";
    name[len] = '\0';
    char *value = env_skip_blanks(name + len + 1);
    value = *value == '"' || *value == '\'' ? quoted_value(value) : plain_value(value);
    if (!value)
        return "has a missing closing quote, or text after it";
    return take(cls, name, value);
}

/* Reads the next line without its line break. False at the end of the file. When a line contains a NUL or is
 * too long, reading stops there and *fault says so. */
static bool next_line(FILE *file, char line[static LINE_SIZE], const char **fault) {
    size_t len = 0;
    int c = getc(file);
    if (c == EOF)
        return false;
    *fault = NULL;
    for (; c != '\n' && c != EOF && !*fault; c = getc(file)) {
        if (c == '\0')
            *fault = "contains a NUL character";
        else if (len + 1 == LINE_SIZE)
            *fault = "is too long";
        else
            line[len++] = (char)c;
    }
    line[len] = '\0';
    return true;
}

static bool read_lines(FILE *file, const char *path, take_fn *take, void *cls, struct buf *errors) {
    char line[LINE_SIZE];
    const char *fault;
    bool good = true, whole = true;
    for (int number = 1; whole && next_line(file, line, &fault); number++) {
        whole = !fault;
        if (whole)
            fault = read_line(line, take, cls);
        if (fault) {
            buf_printf(errors, "%s: line %d %s\n", path, number, fault);
            good = false;
        }
    }
    if (ferror(file)) {
        buf_printf(errors, "%s: %s\n", path, strerror(errno));
        return false;
    }
    return good;
}

static bool read_file(const char *path, take_fn *take, void *cls, struct buf *errors) {
    FILE *file = fopen(path, "re");
    if (!file) {
        buf_printf(errors, "%s: %s\n", path, strerror(errno));
        return false;
    }
    bool good = read_lines(file, path, take, cls, errors);
    fclose(file);
    return good;
}

bool config_read_env_file(const char *path, struct buf *errors) {
    return read_file(path, take_into_environment, NULL, errors);
}

bool config_find_in_env_file(const char *path, const char *name, struct buf *out, struct buf *errors) {
    struct wanted wanted = {.name = name, .out = out};
    return read_file(path, take_wanted, &wanted, errors);
}
