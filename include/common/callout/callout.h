/* HTTP requests to URLs that clients name: many at once, and none to an address that is not of the internet.
 *
 * The guard sits where a socket is made: the address that is connected to is the one that is checked, whatever the name
 * led to before. There are no redirects, no proxies, and no other protocols than HTTP. One thread uses a callout, unless
 * it says otherwise. */
#pragma once

#include "common/base/attributes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct address;
struct address_list;
struct callout;
struct sockaddr;

#define CALLOUT_URL_MAX 2048
#define CALLOUT_ERROR_SIZE 256
#define CALLOUT_EXCERPT_SIZE 257
#define CALLOUT_MAX_BODY 16384 /* bytes of an answer that are read */

/* File descriptors at most. Each call may have a socket, and a thread that resolves a name for it. */
#define CALLOUT_FILES(parallel) (4 * (parallel) + 8)

/* Whom one may call. */
struct callout_policy {
    bool https_only;
    const struct address_list
        *allowed; /* networks that may be called although they are not public; borrowed */
};

struct callout_options {
    struct callout_policy policy;
    const char *ca_file; /* of certificates that are trusted, in PEM; "" or NULL: the system's; borrowed */
    int64_t timeout_ms;  /* of a whole call */
    size_t parallel;     /* calls at once, at most */
};

/* A POST. Everything is copied. */
struct callout_call {
    const char *url;
    const char *const *headers; /* "Name: value", with NULL at the end */
    const char *body;
    size_t len;
    void *cls;
};

struct callout_answer {
    void *cls;                          /* of the call */
    int status;                         /* 0: there was no answer */
    int64_t retry_after_ms;             /* that the receiver asks for; 0: none */
    int64_t took_ms;                    /* until its end */
    char error[CALLOUT_ERROR_SIZE];     /* why there was no answer; "" if there was */
    char excerpt[CALLOUT_EXCERPT_SIZE]; /* the start of the answer's body, as printable ASCII */
};

/* Why a URL is not one that may be called: words that follow "must"; NULL when it may. A name is not resolved: its address
 * is checked with each connection. */
const char *callout_url_fault(const char *url, const struct callout_policy *policy) MUST_CHECK;

/* Whether one may connect to this socket address. */
bool callout_allows(const struct callout_policy *policy, const struct sockaddr *address) MUST_CHECK;

/* NULL when out of memory. Calls in progress are dropped by callout_close. */
struct callout *callout_open(const struct callout_options *options);
void callout_close(struct callout *c); /* NULL is fine */

/* Begins a call. There must be less than `parallel` in progress. False when out of memory. */
bool callout_start(struct callout *c, const struct callout_call *call) MUST_CHECK;

/* Drives the calls until one is done, timeout_ms have passed, or callout_wake was called. */
void callout_wait(struct callout *c, int timeout_ms);

/* The answer of a call that is done. Each is told once. False when there is none. */
bool callout_next(struct callout *c, struct callout_answer *answer) MUST_CHECK;

/* Ends a wait. Any thread. */
void callout_wake(struct callout *c);
