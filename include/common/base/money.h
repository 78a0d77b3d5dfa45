/* Money: integer cents in C, NUMERIC in SQL, a JSON number with two decimals on the wire. */
#pragma once

#include "common/base/attributes.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#define MONEY_TEXT_SIZE 32

/* Reads cents from a JSON number. False when value is not a number, has more than two decimals (it is never
 * rounded), or is outside ±99,999,999,999.99. A JSON number is an IEEE double (RFC 8259 §6). It counts as having
 * two decimals if it is the double nearest to a two-decimal number. */
bool money_from_json(const json_t *value, int64_t *cents) MUST_CHECK;

/* Reads "1059.97" as PostgreSQL writes NUMERIC(p,2), also "-0.05" or "12". False for anything else. */
bool money_parse(const char *text, int64_t *cents) MUST_CHECK;

void money_format(int64_t cents, char text[static MONEY_TEXT_SIZE]);

/* *total += price * quantity. On overflow of int64_t returns false and leaves *total unchanged. */
bool money_add(int64_t *total, int64_t price, int64_t quantity) MUST_CHECK;
