/* SPDX-License-Identifier: Apache-2.0
 * config.def as a table. */
#include <string.h>

#include "relay/config/internal.h"

const char config_required[] = "";

#define REQUIRED config_required

const struct config_option config_options[CONFIG_OPTIONS] = {
#define SECTION(id, text)
#define OPT(section, name, type, who, default_text, allowed, text)                                 \
	{#section,     #name,	TYPE_##type, WHO_##who,                                            \
	 default_text, allowed, text,	     offsetof(struct config, section.name)},
#define END(id)
#include "relay/config/config.def"
#undef SECTION
#undef OPT
#undef END
};

const struct config_section config_sections[CONFIG_SECTIONS] = {
#define SECTION(id, text) {#id, text},
#define OPT(section, name, type, who, default_text, allowed, text)
#define END(id)
#include "relay/config/config.def"
#undef SECTION
#undef OPT
#undef END
};

const struct config_option *config_find(const char *section, const char *name)
{
	for (size_t i = 0; i < CONFIG_OPTIONS; i++)
		if (strcmp(config_options[i].section, section) == 0 &&
		    strcmp(config_options[i].name, name) == 0)
			return &config_options[i];
	return NULL;
}

bool config_role_reads(enum config_role role, const struct config_option *option)
{
	switch (role) {
	case CONFIG_ANY:
		return true;
	case CONFIG_GATEWAY:
		return (option->who & WHO_GATEWAY) != 0;
	case CONFIG_NODE:
		return (option->who & WHO_NODE) != 0;
	}
	return false;
}
