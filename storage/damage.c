/* damage.c - see damage.h. */
#include "storage/damage.h"

#include "base/error.h"
#include "base/memory.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct store_damage {
    pthread_mutex_t lock; /* guards what follows */
    char *texts[STORE_DAMAGE_MAX];
    size_t count;
};

struct store_damage *store_damage_new(void)
{
    struct store_damage *damage = xcalloc(1, sizeof(*damage));
    pthread_mutex_init(&damage->lock, NULL);
    return damage;
}

void store_damage_free(struct store_damage *damage)
{
    if (damage == NULL)
        return;
    for (size_t i = 0; i < damage->count; i++)
        free(damage->texts[i]);
    pthread_mutex_destroy(&damage->lock);
    free(damage);
}

size_t store_damage_count(struct store_damage *damage)
{
    pthread_mutex_lock(&damage->lock);
    size_t count = damage->count;
    pthread_mutex_unlock(&damage->lock);
    return count;
}

const char *store_damage_text(struct store_damage *damage, size_t which)
{
    return damage->texts[which];
}

bool store_damage_skip(struct store_damage *damage, struct error *err)
{
    if (damage == NULL || err->code != ERR_CORRUPT)
        return false;
    pthread_mutex_lock(&damage->lock);
    size_t i = 0;
    while (i < damage->count && strcmp(damage->texts[i], err->message) != 0)
        i++;
    if (i == damage->count && i < STORE_DAMAGE_MAX)
        damage->texts[damage->count++] = xstrdup(err->message);
    pthread_mutex_unlock(&damage->lock);
    *err = (struct error){0};
    return true;
}
