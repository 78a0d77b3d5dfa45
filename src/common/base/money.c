/* Cents to and from JSON numbers and text. */
#include "common/base/money.h"

/* 99,999,999,999.99; far below 2^53, so a double holds it exactly. */
#define MAX_CENTS INT64_C(9999999999999)

static bool cents_of_integer(json_int_t units, int64_t *cents) {
    if (units < -MAX_CENTS / 100 || units > MAX_CENTS / 100)
        return false;
    *cents = (int64_t)units * 100;
    return true;
}

static bool cents_of_real(double amount, int64_t *cents) {
    double limit = (double)MAX_CENTS / 100;
    if (!(amount >= -limit && amount <= limit))
        return false;
    int64_t nearest = (int64_t)(amount * 100 + (amount < 0 ? -0.5 : 0.5));
    /* IEEE division rounds correctly, so the quotient is the double nearest to the two-decimal number. */
    if ((double)nearest / 100 != amount)
        return false;
    *cents = nearest;
    return true;
}

bool money_from_json(const json_t *value, int64_t *cents) {
    if (json_is_integer(value))
        return cents_of_integer(json_integer_value(value), cents);
    if (json_is_real(value))
        return cents_of_real(json_real_value(value), cents);
    return false;
}

/* *cents = *cents * 10 + digit * sign. False on overflow, or when c is not a digit. */
static bool add_digit(int64_t *cents, char c, int sign) {
    return c >= '0' && c <= '9' && !__builtin_mul_overflow(*cents, 10, cents) &&
           !__builtin_add_overflow(*cents, (c - '0') * sign, cents);
}

bool money_parse(const char *text, int64_t *cents) {
    int sign = 1;
    if (*text == '-') {
        sign = -1;
        text++;
    }

    int64_t sum = 0;
    do {
        if (!add_digit(&sum, *text++, sign))
            return false;
    } while (*text && *text != '.');

    const char *decimals = *text == '.' ? text + 1 : "00";
    if (!add_digit(&sum, decimals[0], sign) || !add_digit(&sum, decimals[1], sign) || decimals[2])
        return false;
    *cents = sum;
    return true;
}

void money_format(int64_t cents, char text[static MONEY_TEXT_SIZE]) {
    uint64_t amount = cents < 0 ? 0 - (uint64_t)cents : (uint64_t)cents;
    char reversed[MONEY_TEXT_SIZE];
    size_t len = 0;
    for (; len < 4 || amount > 0; amount /= 10) {
        reversed[len++] = (char)('0' + amount % 10);
        if (len == 2)
            reversed[len++] = '.';
    }
    if (cents < 0)
        reversed[len++] = '-';
    while (len > 0)
        *text++ = reversed[--len];
    *text = '\0';
}

bool money_add(int64_t *total, int64_t price, int64_t quantity) {
    int64_t sum;
    if (__builtin_mul_overflow(price, quantity, &sum) || __builtin_add_overflow(*total, sum, &sum))
        return false;
    *total = sum;
    return true;
}
