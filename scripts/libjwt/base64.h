/* Base64 for libjwt, in place of its own: Debian's source of it comes without. */
#pragma once

/* Writes the NUL too. Returns how many bytes were written. */
int jwt_Base64encode(char *coded, const char *plain, int len);

/* Returns how many bytes were written, 0 when coded is no Base64. */
int jwt_Base64decode(char *plain, const char *coded);
