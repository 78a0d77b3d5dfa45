/* TLS of the HTTP server: the certificate in use, and its renewal without a restart. */
#include "tls.h"

#include "common/base/log.h"
#include "common/base/ticker.h"
#include "common/metrics/metrics.h"

#include <errno.h>
#include <fcntl.h>
#include <gnutls/x509.h>
#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LOOK_MS = 1000, FAULT_SIZE = 1280 };

const char http_tls_priorities[] =
    "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:-KX-ALL:+ECDHE-ECDSA:+ECDHE-RSA:"
    "-CIPHER-ALL:+AES-256-GCM:+CHACHA20-POLY1305:+AES-128-GCM:%SERVER_PRECEDENCE";

/* A file has changed when one of these has. */
struct version {
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec modified;
};

struct http_certificate {
    struct http_tls *tls;
    gnutls_certificate_credentials_t credentials;
    size_t users; /* connections that began with it, and one more while it is current */
};

struct http_tls {
    const char *cert_file, *key_file;
    struct version seen[2];
    bool wanting;      /* what was seen could not be loaded */
    atomic_bool asked; /* to load the files, also when they look as before */
    pthread_mutex_t lock;
    struct http_certificate *current; /* guarded by lock, as are the users of all certificates */
    struct ticker *ticker;
};

/* The series is found again by each load, which is rare. */
static void measure_expiry(const struct http_certificate *certificate) {
    gnutls_x509_crt_t *chain;
    unsigned count;
    if (gnutls_certificate_get_x509_crt(certificate->credentials, 0, &chain, &count) < 0)
        return;
    if (count > 0)
        metric_set(metric_series(METRIC_CERTIFICATE_EXPIRY, NULL),
                   gnutls_x509_crt_get_expiration_time(chain[0]) * INT64_C(1000000000));
    for (unsigned i = 0; i < count; i++)
        gnutls_x509_crt_deinit(chain[i]);
    gnutls_free(chain);
}

/* Why the files cannot be loaded. GnuTLS does not tell why it could not read one. */
static const char *tls_fault(const struct http_tls *tls, int error, char text[static FAULT_SIZE]) {
    const char *const names[] = {tls->cert_file, tls->key_file};
    for (size_t i = 0; i < 2; i++) {
        int fd = open(names[i], O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        char byte;
        bool readable = fd >= 0 && read(fd, &byte, 1) >= 0;
        if (!readable) {
            char reason[128];
            snprintf(text, FAULT_SIZE, "%s: %s", names[i], strerror_r(errno, reason, sizeof reason));
        }
        if (fd >= 0)
            close(fd);
        if (!readable)
            return text;
    }
    return gnutls_strerror(error);
}

static struct http_certificate *tls_load(struct http_tls *tls, int *error) {
    struct http_certificate *certificate = calloc(1, sizeof *certificate);
    *error = certificate ? gnutls_certificate_allocate_credentials(&certificate->credentials)
                         : GNUTLS_E_MEMORY_ERROR;
    if (*error >= 0)
        *error = gnutls_certificate_set_x509_key_file(certificate->credentials, tls->cert_file, tls->key_file,
                                                      GNUTLS_X509_FMT_PEM);
    if (*error >= 0) {
        certificate->tls = tls;
        certificate->users = 1;
        measure_expiry(certificate);
        return certificate;
    }
    if (certificate && certificate->credentials)
        gnutls_certificate_free_credentials(certificate->credentials);
    free(certificate);
    return NULL;
}

void http_tls_end(struct http_certificate *certificate) {
    if (!certificate)
        return;
    pthread_mutex_lock(&certificate->tls->lock);
    bool last = --certificate->users == 0;
    pthread_mutex_unlock(&certificate->tls->lock);
    if (!last)
        return;
    gnutls_certificate_free_credentials(certificate->credentials);
    free(certificate);
}

struct http_certificate *http_tls_begin(struct http_tls *tls, gnutls_session_t session) {
    pthread_mutex_lock(&tls->lock);
    struct http_certificate *certificate = tls->current;
    certificate->users++;
    pthread_mutex_unlock(&tls->lock);
    (void)gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, certificate->credentials);
    return certificate;
}

static struct version version_of(const char *path) {
    struct stat status;
    if (stat(path, &status) != 0)
        return (struct version){0};
    return (struct version){status.st_dev, status.st_ino, status.st_size, status.st_mtim};
}

static bool same(const struct version *a, const struct version *b) {
    return a->device == b->device && a->inode == b->inode && a->size == b->size &&
           a->modified.tv_sec == b->modified.tv_sec && a->modified.tv_nsec == b->modified.tv_nsec;
}

/* Records the state of the files. True when it differs from the one recorded last. Called before the files are
 * read, so that a later write is noticed the next time. */
static bool files_changed(struct http_tls *tls) {
    struct version now[] = {version_of(tls->cert_file), version_of(tls->key_file)};
    bool changed = !same(&now[0], &tls->seen[0]) || !same(&now[1], &tls->seen[1]);
    memcpy(tls->seen, now, sizeof now);
    return changed;
}

static void tls_replace(struct http_tls *tls, struct http_certificate *fresh) {
    pthread_mutex_lock(&tls->lock);
    struct http_certificate *old = tls->current;
    tls->current = fresh;
    pthread_mutex_unlock(&tls->lock);
    http_tls_end(old);
}

/* Certificate and key are two files. Until both match, the old pair stays. */
static int64_t tls_look(void *self) {
    struct http_tls *tls = self;
    bool asked = atomic_exchange(&tls->asked, false);
    bool changed = files_changed(tls) || asked;
    if (!changed && !tls->wanting)
        return LOOK_MS;
    int error;
    char fault[FAULT_SIZE];
    struct http_certificate *fresh = tls_load(tls, &error);
    tls->wanting = !fresh;
    if (fresh) {
        tls_replace(tls, fresh);
        log_info(NULL, "tls: loaded the certificate from %s", tls->cert_file);
    } else if (changed) {
        log_warn(NULL, "tls: cannot load %s and %s, keeping the old certificate: %s", tls->cert_file,
                 tls->key_file, tls_fault(tls, error, fault));
    }
    return LOOK_MS;
}

static bool tls_start(struct http_tls *tls) {
    if (MHD_is_feature_supported(MHD_FEATURE_TLS) != MHD_YES) {
        log_error(NULL, "tls: libmicrohttpd has no TLS support");
        return false;
    }
    (void)files_changed(tls);
    int error;
    char fault[FAULT_SIZE];
    tls->current = tls_load(tls, &error);
    if (!tls->current) {
        log_error(NULL, "tls: cannot load %s and %s: %s", tls->cert_file, tls->key_file,
                  tls_fault(tls, error, fault));
        return false;
    }
    tls->ticker = ticker_start(tls_look, tls);
    return tls->ticker != NULL;
}

struct http_tls *http_tls_open(const char *cert_file, const char *key_file) {
    struct http_tls *tls = calloc(1, sizeof *tls);
    if (!tls)
        return NULL;
    tls->cert_file = cert_file;
    tls->key_file = key_file;
    pthread_mutex_init(&tls->lock, NULL);
    if (tls_start(tls))
        return tls;
    http_tls_close(tls);
    return NULL;
}

void http_tls_reload(struct http_tls *tls) {
    tls->asked = true;
    ticker_wake(tls->ticker);
}

void http_tls_close(struct http_tls *tls) {
    if (!tls)
        return;
    ticker_stop(tls->ticker);
    http_tls_end(tls->current);
    pthread_mutex_destroy(&tls->lock);
    free(tls);
}

int http_tls_no_certificate(gnutls_session_t session, const gnutls_datum_t *authorities, int authority_count,
                            const gnutls_pk_algorithm_t *algorithms, int algorithm_count,
                            gnutls_pcert_st **chain, unsigned *chain_length, gnutls_privkey_t *key) {
    (void)session, (void)authorities, (void)authority_count, (void)algorithms, (void)algorithm_count;
    (void)chain, (void)chain_length, (void)key;
    return -1;
}
