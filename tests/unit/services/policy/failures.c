/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * If this fails, a full memory or a bad disk crashes the policy service, or lets it decide by half a
 * policy. Every allocation and every look at a file fails in turn, until a whole run needs no more.
 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "services/policy/decide.h"
#include "tests/unit/services/policy/alloc.h"

/* --- a policy that uses everything ---------------------------------------------------------------- */

static const struct policy_memory_file tree[] = {
        {"/run/20-r.policy", "# run\n", 6},
        {"/run/30-x.policy", "r.R * work vault deny notify=no\n", 32},
        {"/etc/30-x.policy", "hidden\n", 7},
        {"/etc/35.policy",
         "a.B * work vault allow target=dvm user=bob\na.B * work @dispvm ask "
         "default_target=@dispvm\n"
         "a.B + @tag:t @type:AppVM ask autostart=no\na.B +x * @dispvm:@tag:t deny\n"
         "!include include/one\n!include-dir include/d\n!include-service a.B +s include/s\n"
         "!compat-4.0\na.B * * @anyvm ask default_target=vault\n* * * * deny\n",
         0},
        {"/etc/include/one", "c.D * uuid:2 @adminvm ask target=vault\n", 0},
        {"/etc/include/d/1.policy", "e.F * work vault allow\n", 0},
        {"/etc/include/s", "$anyvm $adminvm allow,user=root\n", 0},
        {"/legacy/l.L+x", "$anyvm vault allow\n", 0},
        {"/legacy/l.L", "$anyvm vault ask\n", 0},
};

static struct policy_memory_file files_of_tree[ARRAY_LEN(tree)];
static const char *const dirs[] = {"/run", "/etc"};
static const struct policy_place place = {.dirs = dirs, .n_dirs = 2, .legacy_dir = "/legacy"};

static struct policy_memory memory_tree(void)
{
	for (size_t i = 0; i < ARRAY_LEN(tree); i++) {
		files_of_tree[i] = tree[i];
		files_of_tree[i].len = strlen(tree[i].data);
	}
	return (struct policy_memory){files_of_tree, ARRAY_LEN(tree)};
}

static struct policy *load(struct policy_fault *fault)
{
	struct policy_memory memory = memory_tree();
	struct policy_files files = policy_files_memory(&memory);

	return policy_load(&place, &files, fault);
}

static struct system *make_system(void)
{
	static const char *const tags[] = {"t"};
	static const struct system_qube qubes[] = {
	        {.name = "dom0", .uuid = SYSTEM_ZERO_UUID, .type = "AdminVM", .running = true},
	        {.name = "work",
	         .uuid = "1",
	         .type = "AppVM",
	         .default_dispvm = "dvm",
	         .tags = tags,
	         .n_tags = 1},
	        {.name = "vault", .uuid = "2", .type = "AppVM"},
	        {.name = "dvm", .uuid = "3", .type = "AppVM", .template_for_dispvms = true},
	};
	struct system *system = system_new();

	if (!system)
		return NULL;
	for (size_t i = 0; i < ARRAY_LEN(qubes); i++) {
		if (system_add(system, &qubes[i])) {
			assert_int_equal(errno, ENOMEM);
			return system_unref(system);
		}
	}
	return system_seal(system) ? system_unref(system) : system;
}

/* --- the tests --------------------------------------------------------------------------------- */

static void check_load_fault(const struct policy_fault *fault)
{
	char text[512];

	/* A callback that finds no memory cannot say so by its kind; it says so by errno. */
	if (fault->kind != FAULT_MEMORY)
		assert_int_equal(fault->error, ENOMEM);
	assert_true(policy_fault_format(fault, text, sizeof(text)) > 0);
}

static void load_loop(bool all)
{
	struct policy_fault fault;
	struct policy *policy = NULL;
	int failed = 0;

	for (int at = 1; !policy; at++) {
		alloc_fail_from(at, all);
		policy = load(&fault);
		alloc_fail_from(0, false);
		if (policy)
			break;
		check_load_fault(&fault);
		failed++;
		assert_true(at < 10000);
	}
	assert_true(failed > 50);
	assert_int_equal(policy_n_rules(policy), 14);
	(void)policy_unref(policy);
}

static void test_load_memory(void **state)
{
	load_loop(false);
	load_loop(true);
}

static void test_system_memory(void **state)
{
	struct system *system = NULL;
	int at = 1;

	for (; !system; at++) {
		alloc_fail_from(at, false);
		system = make_system();
		alloc_fail_from(0, false);
		assert_true(at < 1000);
	}
	assert_true(at > 5);
	(void)system_unref(system);
}

static void test_view_memory(void **state)
{
	struct policy_fault fault;
	struct policy *policy = load(&fault);
	struct system *system = make_system();
	struct view *view = NULL;
	int at = 1;

	for (; !view; at++) {
		alloc_fail_from(at, false);
		view = view_new(policy, system);
		alloc_fail_from(0, false);
		assert_true(at < 1000);
	}
	assert_true(at > 3);
	(void)view_free(view);
	(void)policy_unref(policy);
	(void)system_unref(system);
}

/* A question for which there was no memory is refused, and the next one is answered as if nothing
 * had been. */
static void test_decide_memory(void **state)
{
	static const struct policy_question question = {
	        .source = "work", .requested_source = "", .target = "@dispvm", .service = "a.B"};
	struct policy_fault fault;
	struct policy *policy = load(&fault);
	struct system *system = make_system();
	struct decision d = {0};
	int at = 1;

	for (; d.kind != DECISION_ASK; at++) {
		struct view *view = view_new(policy, system);

		assert_non_null(view);
		alloc_fail_from(at, false);
		policy_decide(view, &question, &d);
		alloc_fail_from(0, false);
		if (d.kind == DECISION_ASK) {
			assert_int_equal(at > alloc_count(), true);
		} else {
			assert_int_equal(d.kind, DECISION_DENY);
			assert_true(d.no_answer);
			assert_null(d.offers);
			policy_decide(view, &question, &d);
			assert_int_equal(d.kind, DECISION_ASK);
			assert_string_equal(d.offers->list[0], "@dispvm:dvm");
			assert_int_equal(d.offers->default_index, 0);
			d.kind = DECISION_DENY;
		}
		(void)view_free(view);
		assert_true(at < 100);
	}
	assert_true(at > 4);
	(void)policy_unref(policy);
	(void)system_unref(system);
}

/* --- files that fail ------------------------------------------------------------------------------ */

struct failing {
	struct policy_files inner;
	int fail_at;
	int n;
	int error;
};

static bool file_fails(struct failing *f)
{
	if (++f->n != f->fail_at)
		return false;
	errno = f->error;
	return true;
}

static int failing_resolve(void *ctx, const char *path, char **ret_real, enum file_kind *ret_kind)
{
	struct failing *f = ctx;

	return file_fails(f) ? -1 : f->inner.resolve(f->inner.ctx, path, ret_real, ret_kind);
}

static int failing_list(void *ctx, const char *dir, char **ret_names)
{
	struct failing *f = ctx;

	return file_fails(f) ? -1 : f->inner.list(f->inner.ctx, dir, ret_names);
}

static int failing_read(void *ctx, const char *path, char **ret_data, size_t *ret_len)
{
	struct failing *f = ctx;

	return file_fails(f) ? -1 : f->inner.read(f->inner.ctx, path, ret_data, ret_len);
}

static void test_files_fail(void **state)
{
	static const int errors[] = {EIO, ENOMEM, EACCES, EFBIG, EMFILE};
	struct policy_memory memory = memory_tree();
	struct failing f = {.inner = policy_files_memory(&memory)};
	struct policy_files files = {&f, failing_resolve, failing_list, failing_read};

	for (size_t e = 0; e < ARRAY_LEN(errors); e++) {
		struct policy *policy = NULL;
		struct policy_fault fault;

		f.error = errors[e];
		for (f.fail_at = 1; !policy; f.fail_at++) {
			f.n = 0;
			policy = policy_load(&place, &files, &fault);
			if (policy)
				break;
			assert_int_equal(fault.error, errors[e]);
			assert_true(fault.kind == FAULT_IO || fault.kind == FAULT_LIMIT ||
			            fault.kind == FAULT_MEMORY);
			assert_string_not_equal(fault.text, "");
		}
		assert_true(f.fail_at > 20);
		assert_true(f.n < f.fail_at);
		assert_int_equal(policy_n_rules(policy), 14);
		(void)policy_unref(policy);
	}
}

static void count_fault(void *ctx, const struct policy_fault *fault)
{
	++*(int *)ctx;
	assert_int_not_equal(fault->kind, FAULT_NONE);
}

/* Where all faults are wanted, a failing disk is one of them and the rest is looked at. */
static void test_files_fail_report(void **state)
{
	struct policy_memory memory = memory_tree();
	struct failing f = {.inner = policy_files_memory(&memory), .error = EIO};
	struct policy_files files = {&f, failing_resolve, failing_list, failing_read};
	int reports;

	f.fail_at = 1;
	do {
		struct policy_fault fault;
		struct policy *policy;

		reports = 0;
		f.n = 0;
		policy = policy_load_report(&place, &files, count_fault, &reports, &fault);
		assert_non_null(policy);
		assert_true(policy_n_rules(policy) <= 14 || reports == 1);
		(void)policy_unref(policy);
		f.fail_at++;
	} while (reports > 0);
	assert_true(f.fail_at > 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_load_memory), cmocka_unit_test(test_system_memory),
	        cmocka_unit_test(test_view_memory), cmocka_unit_test(test_decide_memory),
	        cmocka_unit_test(test_files_fail),  cmocka_unit_test(test_files_fail_report),
	};

	return cmocka_run_group_tests_name("services/policy failures", tests, NULL, NULL);
}
