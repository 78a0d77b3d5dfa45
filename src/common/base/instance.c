/* The id of this process. */
#include "common/base/instance.h"

#include "common/base/uuid.h"

#include <pthread.h>

/* Set once, by the first caller. */
static struct {
    pthread_once_t once;
    char id[UUID_TEXT_SIZE];
} instance = {.once = PTHREAD_ONCE_INIT};

static void make_instance(void) {
    struct uuid id = uuid_new();
    uuid_format(&id, instance.id);
}

const char *instance_id(void) {
    (void)pthread_once(&instance.once, make_instance);
    return instance.id;
}
