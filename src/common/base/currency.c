/* The table of currencies. */
#include "common/base/currency.h"

#include "common/base/json_write.h"

#include <stddef.h>
#include <string.h>

/* Each code has three letters and a blank. */
static const struct {
    int decimals;
    const char *codes;
} table[] = {
    {2,
     "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CNY COP "
     "CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS "
     "INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN "
     "MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE "
     "SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD UYU UZS VED VES WST XCD XCG YER ZAR "
     "ZMW ZWG "},
    {0, "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF "},
    {3, "BHD IQD JOD KWD LYD OMR TND "},
    {4, "CLF UYW "},
};

int currency_decimals(const char *code) {
    if (strlen(code) != 3)
        return CURRENCY_UNKNOWN;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        for (const char *at = table[i].codes; *at; at += 4)
            if (memcmp(at, code, 3) == 0)
                return table[i].decimals;
    return CURRENCY_UNKNOWN;
}

bool currency_is_supported(const char *code) {
    int decimals = currency_decimals(code);
    return decimals == 0 || decimals == 2;
}

void currency_append(struct buf *out, const char *code, int64_t cents) {
    if (code && cents % 100 == 0 && currency_decimals(code) == 0)
        buf_int(out, cents / 100);
    else
        json_append_money(out, cents);
}
