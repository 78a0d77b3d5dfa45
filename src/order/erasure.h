/* Erasing a customer: what the command is asked for, and what takes the customer's place. Pure, but for random numbers. */
#pragma once

#include "common/base/attributes.h"
#include "common/base/digest.h"

#include <stdbool.h>
#include <stdint.h>

#define ERASURE_REPLACEMENT_SIZE (sizeof "erased-" + 32)

/* The words after "order-svc erase". Text is borrowed. */
struct erasure_options {
    const char *customer; /* "-": their ids are lines of standard input; NULL: repeat */
    const char *client;   /* NULL: of all clients */
    const char *actor;    /* who wants it; NULL: not given */
    bool repeat;          /* erase nobody, but tell delivery-svc again of all that were erased */
};

/* argv[0] is "erase". False when the words are wrong; *fault says why. */
bool erasure_options_parse(int argc, const char *const argv[], struct erasure_options *out,
                           const char **fault) MUST_CHECK;

/* Whether this is a customer's id as POST /orders takes it. */
bool erasure_customer_ok(const char *id);

/* Random bytes, which exist while one customer is being erased and are stored nowhere. */
struct erasure_key {
    uint8_t bytes[SHA256_SIZE];
};

/* "erased-" and 32 hexadecimal digits: the same for all orders that the customer has with a client, so that the client's
 * statistics still see one person; others with another client, which cannot compare. It says nothing of the customer: whoever
 * guesses an id cannot confirm it. */
void erasure_replacement(const struct erasure_key *key, const char *client_id,
                         char out[static ERASURE_REPLACEMENT_SIZE]);
