/* Currencies by their alphabetic code (ISO 4217). Pure.
 *
 * Amounts are integers in hundredths of a currency's unit ("cents"), also where it has no decimals: then they are whole
 * hundreds. */
#pragma once

#include "common/base/attributes.h"
#include "common/base/buf.h"

#include <stdbool.h>
#include <stdint.h>

#define CURRENCY_UNKNOWN (-1)

/* How many decimals the currency has: 0, 2, 3 or 4. CURRENCY_UNKNOWN for a code that is none of a currency in use. Codes of
 * metals, funds and tests are unknown, too. */
int currency_decimals(const char *code);

/* Whether amounts of the currency can be kept: it has two decimals or none. */
bool currency_is_supported(const char *code) MUST_CHECK;

/* Appends an amount as a JSON number: 1059.97, or 1500 in a currency without decimals. code may be NULL: two decimals. */
void currency_append(struct buf *out, const char *code, int64_t cents);
