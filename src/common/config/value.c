/* The value of one knob: read from text, shown as text, described. */
#include "private.h"

#include "common/config/duration.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SHOWN_SIZE 80 /* maximum bytes of an invalid value in an error message */

static const struct {
    const char *name;
    int64_t ms;
} units[] = {{"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}};

#define UNIT_COUNT (sizeof units / sizeof *units)

/* The digits at the start of text; *rest is what follows them. */
static bool parse_digits(const char *text, int64_t *value, char **rest) {
    if (!isdigit((unsigned char)text[0]))
        return false;
    errno = 0;
    *value = strtoll(text, rest, 10);
    return errno == 0;
}

static bool parse_integer(const char *text, int64_t *value) {
    char *rest;
    return parse_digits(text, value, &rest) && *rest == '\0';
}

bool config_parse_duration(const char *text, int64_t *ms) {
    int64_t count;
    char *unit;
    if (!parse_digits(text, &count, &unit))
        return false;
    for (size_t i = 0; i < UNIT_COUNT; i++)
        if (strcmp(*unit ? unit : "s", units[i].name) == 0)
            return !__builtin_mul_overflow(count, units[i].ms, ms);
    return false;
}

bool config_parse_durations(const char *text, int64_t ms[], size_t max, size_t *count) {
    char one[32];
    for (*count = 0; *count < max; (*count)++) {
        size_t len = strcspn(text, ",");
        if (len >= sizeof one)
            return false;
        memcpy(one, text, len);
        one[len] = '\0';
        if (!config_parse_duration(one, &ms[*count]))
            return false;
        if (text[len] == '\0') {
            ++*count;
            return true;
        }
        text += len + 1;
    }
    return false;
}

/* The index of value in a list like "json|text", or -1. */
static int64_t find_choice(const char *choices, const char *value) {
    size_t len = strlen(value);
    for (int64_t i = 0;; i++) {
        size_t width = strcspn(choices, "|");
        if (width == len && memcmp(choices, value, len) == 0)
            return i;
        if (choices[width] == '\0')
            return -1;
        choices += width + 1;
    }
}

static bool is_plain_text(const char *text) {
    for (; *text; text++)
        if (iscntrl((unsigned char)*text))
            return false;
    return true;
}

bool config_parse_value(const struct config_knob *knob, const char *text, int64_t *value) {
    switch (knob->type) {
    case CONFIG_STRING:
    case CONFIG_SECRET:
        *value = (int64_t)strlen(text);
        return is_plain_text(text) && *value >= knob->min && *value <= knob->max &&
               (!knob->choices || find_choice(knob->choices, text) >= 0);
    case CONFIG_INTEGER:
        return parse_integer(text, value) && *value >= knob->min && *value <= knob->max;
    case CONFIG_DURATION:
        return config_parse_duration(text, value) && *value >= knob->min && *value <= knob->max;
    case CONFIG_BOOLEAN:
        *value = find_choice("false|true|off|on|0|1", text);
        if (*value < 0)
            return false;
        *value %= 2;
        return true;
    case CONFIG_CHOICE:
        *value = find_choice(knob->choices, text);
        return *value >= 0;
    }
    return false;
}

static void append_duration(struct buf *out, int64_t ms) {
    size_t i = 0;
    while (ms == 0 ? i < 2 : ms % units[i].ms != 0)
        i++;
    buf_printf(out, "%lld%s", (long long)(ms / units[i].ms), units[i].name);
}

void config_describe(const struct config_knob *knob, struct buf *out) {
    switch (knob->type) {
    case CONFIG_STRING:
    case CONFIG_SECRET:
        if (knob->choices)
            buf_printf(out, "one of %s", knob->choices);
        else
            buf_printf(out, "text of %lld to %lld bytes", (long long)knob->min, (long long)knob->max);
        break;
    case CONFIG_INTEGER:
        buf_printf(out, "a whole number from %lld to %lld", (long long)knob->min, (long long)knob->max);
        break;
    case CONFIG_DURATION:
        buf_str(out, "a duration from ");
        append_duration(out, knob->min);
        buf_str(out, " to ");
        append_duration(out, knob->max);
        break;
    case CONFIG_BOOLEAN:
        buf_str(out, "true or false");
        break;
    case CONFIG_CHOICE:
        buf_printf(out, "one of %s", knob->choices);
        break;
    }
}

static void append_choice(struct buf *out, const char *choices, int64_t index) {
    for (; index > 0; index--)
        choices += strcspn(choices, "|") + 1;
    buf_append(out, choices, strcspn(choices, "|"));
}

void config_show(const struct config *config, const struct config_knob *knob, struct buf *out) {
    const void *field = (const char *)config + knob->offset;
    switch (knob->type) {
    case CONFIG_STRING:
        buf_str(out, *(char *const *)field);
        break;
    case CONFIG_SECRET:
        buf_str(out, **(char *const *)field ? "***" : "");
        break;
    case CONFIG_INTEGER:
        buf_printf(out, "%lld", (long long)*(const int64_t *)field);
        break;
    case CONFIG_DURATION:
        append_duration(out, *(const int64_t *)field);
        break;
    case CONFIG_BOOLEAN:
        buf_str(out, *(const bool *)field ? "true" : "false");
        break;
    case CONFIG_CHOICE:
        append_choice(out, knob->choices, *(const int64_t *)field);
        break;
    }
}

void config_append_bad(struct buf *errors, const char *text) {
    buf_str(errors, ", not '");
    for (size_t i = 0; text[i] && i < SHOWN_SIZE; i++)
        buf_char(errors, iscntrl((unsigned char)text[i]) ? '?' : text[i]);
    buf_str(errors, "'\n");
}
