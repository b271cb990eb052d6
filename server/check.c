/* What a configuration says that only the modules, or this machine, can judge: of `galley check`,
 * of a start and of a reload. */
#include "server/account.h"
#include "server/api.h"
#include "server/app/modules.h"
#include "server/data/data.h"
#include "server/galley_private.h"
#include "server/listeners.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

const struct config_kind *galley_sections(void)
{
    static struct config_kind kinds[APP_MODULES_MAX + 1];
    unsigned count = 0;
    for (unsigned i = 0; app_modules[i]; i++) {
        const struct app_module *module = app_modules[i];
        assert(i < APP_MODULES_MAX);
        if (!module->always && (module->route_count > 0 || module->settings))
            kinds[count++] = (struct config_kind){
                .name = module->name,
                .flags = module->route_count > 0 ? CONFIG_MODULE : 0,
                .help = module->help,
                .keys = module->settings,
                .key_count = module->setting_count,
            };
    }
    return kinds;
}

/* ---- What is wrong */

static bool check_settings(const struct config *config, const struct app_module *module,
                           const char *path, struct buf *errors)
{
    char why[300];
    const struct config_section *settings =
        module->check ? config_section(config, module->name) : NULL;
    const char *key = settings ? module->check(settings, why, sizeof why) : NULL;
    if (!key)
        return true;
    unsigned line = config_key_line(settings, key);
    buf_append_str(errors, path);
    if (line > 0)
        buf_printf(errors, ":%u", line);
    buf_printf(errors, ": [%s] %s: %s\n", module->name, key, why);
    return false;
}

bool galley_check(const struct config *config, const char *path, struct buf *errors)
{
    bool good = listeners_check(config, path, errors);
    for (unsigned i = 0; app_modules[i]; i++)
        good = check_settings(config, app_modules[i], path, errors) && good;
    good = data_check(config, path, errors) && good;
    good = feeding_check(config, app_modules, path, errors) && good;
    return routes_check(config, app_modules, path, errors) && good;
}

/* ---- What may be meant otherwise, or is elsewhere otherwise */

static void warn_of_user(const struct config_section *server, const char *path, struct buf *out)
{
    struct account account;
    char why[200];
    if (account_find(config_text(server, "user"), &account, why, sizeof why))
        buf_printf(out, "%s:%u: warning: %s\n", path, config_key_line(server, "user"), why);
}

static void warn_of_log(const struct config_section *log, const char *path, struct buf *out)
{
    const char *file = config_text(log, "file"), *slash = strrchr(file, '/');
    struct stat info;
    char *folder = strndup(file, slash ? (size_t)(slash - file) : 0);
    bool there = !folder || !folder[0] || (stat(folder, &info) == 0 && S_ISDIR(info.st_mode));
    if (!there)
        buf_printf(out, "%s:%u: warning: [log] file = %s: there is no folder %s\n", path,
                   config_key_line(log, "file"), file, folder);
    free(folder);
}

enum err galley_look_at_routes(const struct config *config, struct route_table **out, char *why,
                               size_t why_size)
{
    return routes_look(config, app_modules, out, why, why_size);
}

json_t *galley_describe_api(const struct config *config, const char *path)
{
    return api_describe(config, app_modules, path);
}

void galley_warn(const struct config *config, const char *path, struct buf *out)
{
    if (config_is_empty(config))
        buf_printf(out,
                   "%s: warning: it is empty: nothing is served but health, metrics, /_/ and "
                   "/auth/*\n",
                   path);
    warn_of_user(config_section(config, "server"), path, out);
    warn_of_log(config_section(config, "log"), path, out);
    routes_warn(config, app_modules, path, out);
}
