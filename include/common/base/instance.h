/* Which of all processes of a service this is: spans and log lines carry its id (service.instance.id). */
#pragma once

/* A UUID that is made at the first call and stays the same for the life of the process. Borrowed. Any thread. */
const char *instance_id(void);
