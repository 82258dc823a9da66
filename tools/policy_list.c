/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "services/policy/table.h"
#include "tools/policy.h"

/* skerry policy list, skerry policy graph: the rules in order, and who may call whom. */

static bool wanted(const struct policy_tool *tool, const struct rule *rule)
{
	const char *service = policy_symbol(tool->policy, rule->service);

	return (!tool->service || strcmp(service, tool->service) == 0 || rule->service == NO_ID) &&
	       (!tool->source ||
	        strcmp(policy_token(tool->policy, rule->source)->text, tool->source) == 0) &&
	       (!tool->target ||
	        strcmp(policy_token(tool->policy, rule->target)->text, tool->target) == 0);
}

static void print_rule(const struct policy_tool *tool, const struct rule *rule)
{
	const char *file = policy_file_name(tool->policy, rule->file);
	struct json_object *out;
	char line[4096];

	(void)policy_format_rule(tool->policy, rule, line, sizeof(line));
	if (!tool->options->json) {
		printf("%s%s:%u%s\t%s\n", skerry_style(tool->options, STYLE_FAINT), file,
		       rule->line, skerry_style(tool->options, STYLE_PLAIN), tool_clean(line));
		return;
	}
	out = json_object_new_object();
	tool_json_text(out, "file", file);
	(void)json_object_object_add(out, "line", json_object_new_int64(rule->line));
	tool_json_text(out, "rule", line);
	tool_json_print(out);
}

int policy_list(struct policy_tool *tool)
{
	if (tool->n_words != 0)
		return SKERRY_USAGE;
	if (tool_load_policy(tool))
		return SKERRY_REFUSED;
	for (uint32_t i = 0; i < policy_n_rules(tool->policy); i++) {
		if (wanted(tool, policy_rule(tool->policy, i)))
			print_rule(tool, policy_rule(tool->policy, i));
	}
	return SKERRY_DONE;
}

/* Lines of the graph, each once. */
struct graph {
	struct policy_tool *tool;
	struct names edges;
	struct names nodes;
	struct names services; /* service+argument, asked about already */
};

/* Between quotes in the language of dot. */
static void quote(char *out, size_t max, const char *text)
{
	size_t n = 0;

	for (; *text && n + 2 < max; text++) {
		if (*text == '"' || *text == '\\')
			out[n++] = '\\';
		out[n++] = *text;
	}
	out[n] = '\0';
}

static void edge_json(char *line, size_t max, const char *const words[3], bool ask)
{
	struct json_object *out = json_object_new_object();

	tool_json_text(out, "source", words[0]);
	tool_json_text(out, "target", words[1]);
	tool_json_text(out, "service", words[2]);
	tool_json_text(out, "action", ask ? "ask" : "allow");
	(void)snprintf(line, max, "%s",
	               json_object_to_json_string_ext(out, JSON_C_TO_STRING_PLAIN |
	                                                           JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(out);
}

static int add_edge(struct graph *graph, const char *source, const char *target,
                    const char *service, bool ask)
{
	const char *const words[3] = {source, target, service};
	char quoted[3][1100];
	char line[4096];

	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		quote(quoted[i], sizeof(quoted[i]), words[i]);
	if (graph->tool->options->json)
		edge_json(line, sizeof(line), words, ask);
	else
		(void)snprintf(line, sizeof(line), "  \"%s\" -> \"%s\" [label=\"%s\" color=%s];",
		               quoted[0], quoted[1], quoted[2], ask ? "orange" : "red");
	return names_add(&graph->nodes, source, strlen(source)) == NO_ID ||
	                       names_add(&graph->nodes, target, strlen(target)) == NO_ID ||
	                       names_add(&graph->edges, line, strlen(line)) == NO_ID
	               ? -1
	               : 0;
}

static int ask_one(struct graph *graph, const char *source, const char *target, const char *service)
{
	struct policy_question question = {
	        .source = source, .requested_source = "", .target = target, .service = service};
	struct decision d;
	int r = 0;

	policy_decide(graph->tool->view, &question, &d);
	if (d.kind == DECISION_ALLOW && strcmp(d.target.text, source) != 0)
		r = add_edge(graph, source, d.target.text, service, false);
	if (d.kind != DECISION_ASK || !graph->tool->include_ask)
		return r;
	for (uint32_t i = 0; i < d.offers->n && r == 0; i++)
		r = add_edge(graph, source, d.offers->list[i], service, true);
	return r;
}

static int ask_targets(struct graph *graph, const char *source, const char *service)
{
	static const char *const words[] = {"@default", "@dispvm"};
	const struct policy_tool *tool = graph->tool;
	int r = 0;

	if (tool->target)
		return ask_one(graph, source, tool->target, service);
	for (size_t i = 0; i < ARRAY_LEN(words) && r == 0; i++)
		r = ask_one(graph, source, words[i], service);
	for (uint32_t i = 0; i < system_n_qubes(tool->system) && r == 0; i++) {
		const struct system_qube *qube = system_qube(tool->system, i);
		char disp[TARGET_TEXT_LEN];

		r = ask_one(graph, source, qube->name, service);
		if (r || !qube->template_for_dispvms)
			continue;
		(void)snprintf(disp, sizeof(disp), "@dispvm:%s", qube->name);
		r = ask_one(graph, source, disp, service);
	}
	return r;
}

static int ask_service(struct graph *graph, const char *service)
{
	uint32_t before = graph->services.n;
	int r = 0;

	if (names_add(&graph->services, service, strlen(service)) == NO_ID)
		return -1;
	if (graph->services.n == before)
		return 0;
	if (graph->tool->source)
		return ask_targets(graph, graph->tool->source, service);
	for (uint32_t i = 0; i < system_n_qubes(graph->tool->system) && r == 0; i++)
		r = ask_targets(graph, system_qube(graph->tool->system, i)->name, service);
	return r;
}

static void print_nodes(const struct graph *graph)
{
	for (uint32_t i = 0; i < graph->nodes.n; i++) {
		const struct name *node = &graph->nodes.list[i];
		uint32_t qube = system_find(graph->tool->system, node->text, node->len);
		const char *label =
		        qube == NO_ID ? "" : system_qube(graph->tool->system, qube)->label;
		char name[2 * TARGET_TEXT_LEN];
		char colour[2 * TARGET_TEXT_LEN];

		quote(name, sizeof(name), node->text);
		quote(colour, sizeof(colour), label);
		if (node->text[0] == '@')
			printf("  \"%s\" [style = dotted];\n", name);
		else if (strncmp(colour, "0x", 2) == 0)
			printf("  \"%s\" [color = \"#%s\", penwidth = 3];\n", name, colour + 2);
	}
}

static void print_graph(const struct graph *graph)
{
	bool json = graph->tool->options->json;

	if (!json) {
		printf("digraph g {\n");
		print_nodes(graph);
	}
	for (uint32_t i = 0; i < graph->edges.n; i++)
		printf("%s\n", graph->edges.list[i].text);
	if (!json)
		printf("}\n");
}

int policy_graph(struct policy_tool *tool)
{
	struct graph graph = {.tool = tool};
	int r = 0;

	if (tool->n_words != 0)
		return SKERRY_USAGE;
	if (tool_load(tool))
		return SKERRY_REFUSED;
	if (tool->service)
		r = ask_service(&graph, tool->service);
	for (uint32_t i = 0; !tool->service && i < policy_n_rules(tool->policy) && r == 0; i++) {
		const struct rule *rule = policy_rule(tool->policy, i);
		char service[1024];

		/* A rule for every service is shown with those that have a name. */
		if (rule->service == NO_ID)
			continue;
		(void)snprintf(service, sizeof(service), "%s%s",
		               policy_symbol(tool->policy, rule->service),
		               rule->argument == NO_ID
		                       ? ""
		                       : policy_symbol(tool->policy, rule->argument));
		r = ask_service(&graph, service);
	}
	if (r == 0)
		print_graph(&graph);
	else
		fprintf(stderr, "no memory for the graph\n");
	names_fini(&graph.edges);
	names_fini(&graph.nodes);
	names_fini(&graph.services);
	return r ? SKERRY_REFUSED : SKERRY_DONE;
}
