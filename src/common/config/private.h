/* What the files of the configuration share. */
#pragma once

#include "common/config/config.h"

/* Whether the knob accepts text. *value is then its number: of a choice its index, of a boolean 0 or 1, of a string
 * its length. */
bool config_parse_value(const struct config_knob *knob, const char *text, int64_t *value) MUST_CHECK;

/* Finds a secret: in the environment, or in the file that the variable NAME_FILE names. The result is borrowed or
 * points to text. NULL when neither is set. *file is set when it comes from a file. A file that cannot be used is
 * reported in errors. */
const char *config_find_secret(const struct config_knob *knob, const char *(*lookup)(const char *name),
                               char text[static SECRET_SIZE], const char **file, struct buf *errors);

/* Whether the platform wrote the value of this variable, to tell where a service is. */
bool config_is_service_link(const char *name, const char *value, const char *(*lookup)(const char *name));

/* Ends a line about an invalid value with the start of the value, without characters that would break the line. */
void config_append_bad(struct buf *errors, const char *text);

/* Appends what is wrong with a value that config_parse_value has not accepted. The value of a secret is not quoted. False. */
bool config_refuse(const struct config_knob *knob, const char *text, struct buf *errors);

/* Appends a line for each rule that the values break, and warnings to those of the config. */
void config_check_rules(struct config *config, struct buf *errors);
