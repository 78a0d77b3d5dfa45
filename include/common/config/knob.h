/* The table of knobs, which describes every setting.
 *
 * It feeds parsing, --help, --print-config, and the check that env.example and docs/CONFIGURATION.md name every knob. */
#pragma once

#include "common/base/buf.h"

#include <stddef.h>
#include <stdint.h>

struct config;

enum config_service {
    CONFIG_ORDER = 1,
    CONFIG_DELIVERY = 2,
    CONFIG_BOTH = 3,
    CONFIG_COMMAND = 4,        /* a command of either, which needs the database only */
    CONFIG_CACHE_COMMAND = 32, /* a command of order-svc that needs Redis, too */
    CONFIG_ALL = 39,
    CONFIG_ORDER_PROBE = 8, /* the health check of a daemon, which needs its address only, and no secret */
    CONFIG_DELIVERY_PROBE = 16,
    CONFIG_PROBE = 24,
};

enum config_type {
    CONFIG_STRING,
    CONFIG_SECRET, /* a struct secret_source that is never shown; NAME_FILE may name a file with it */
    CONFIG_INTEGER,
    CONFIG_BOOLEAN,  /* true|false|on|off|1|0 */
    CONFIG_DURATION, /* 24h, 15m, 30s, 250ms; a plain number is seconds */
    CONFIG_CHOICE,   /* one of choices, stored as its index */
};

struct config_knob {
    const char *name;
    enum config_type type;
    enum config_service service;
    const char *fallback; /* value when unset or empty */
    int64_t min, max;     /* of a number or a duration in ms; length of a string */
    const char *choices;  /* of a CONFIG_CHOICE: "production|development"; of a string: its allowed values */
    size_t offset;        /* of the field in struct config */
    const char *help;     /* one line */
};

extern const struct config_knob config_knobs[];
extern const size_t config_knob_count;

/* Appends what a knob accepts: "a whole number from 1 to 64". */
void config_describe(const struct config_knob *knob, struct buf *out);
/* Appends the value of a knob as the environment would give it, or "***" for a secret. */
void config_show(const struct config *config, const struct config_knob *knob, struct buf *out);
