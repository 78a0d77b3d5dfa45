/* What sources of credentials say, and what is said to them. Pure. */
#pragma once

#include "common/base/buf.h"
#include "common/queue/credentials.h"

#include <stddef.h>

/* Reads the answer of a container's endpoint or of a machine's metadata. False with the reason in why. */
bool credential_from_json(const char *text, size_t len, struct credential *out,
                          char why[static CREDENTIAL_WHY_SIZE]) MUST_CHECK;

/* Reads the answer of AssumeRoleWithWebIdentity. False with the reason in why, which is the error of the answer if it is
 * one. */
bool credential_from_xml(const char *text, struct credential *out,
                         char why[static CREDENTIAL_WHY_SIZE]) MUST_CHECK;

/* Reads a profile of the shared file. False with the reason in why. */
bool credential_from_profile(const char *text, const char *profile, struct credential *out,
                             char why[static CREDENTIAL_WHY_SIZE]) MUST_CHECK;

/* Reads the time of an answer: 2026-01-31T08:15:30Z, perhaps with a fraction. False when it is none. */
bool credential_time(const char *text, int64_t *epoch_ms) MUST_CHECK;

/* Appends text with all but letters, digits and -._~ as %XX. */
void credential_escape(struct buf *out, const char *text);

/* When credentials that were fetched now are to be fetched again: five minutes before they expire, or after half of their
 * life. */
int64_t credential_refresh_ms(const struct credential *credential, int64_t now_ms);
