/* The independent loader: libbpf loads each program of each object alone, and one line of JSON says how it went.
 *
 *     loader OBJECT...
 *
 * A child process opens the object, switches all programs off but one, and loads it, first with the log's statistics
 * alone (log level 4, so that the kernel's own time is not that of its log), then, if it was refused, with the whole
 * log (level 5) to learn at which instruction. A child that dies or takes long spoils no other.
 *
 * It must not know the model.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <ctype.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { STATISTICS = 4, EVERYTHING = 5, PATIENCE = 100 };

/* The largest log that every kernel takes (UINT_MAX >> 8 up to 5.10). */
static const size_t LOG_SIZE = (1u << 24) - 1;

static char *log_text;
static char said[512];
static bool reached;

static int listen_to_libbpf(enum libbpf_print_level level, const char *format, va_list args)
{
	char text[1024];

	if (level != LIBBPF_WARN)
		return 0;
	vsnprintf(text, sizeof(text), format, args);
	if (strstr(text, "BPF program load failed"))
		reached = true;
	/* The first complaint is the cause; those that follow say who was concerned. */
	else if (!said[0] && !strstr(text, "-- BEGIN PROG LOAD LOG --"))
		snprintf(said, sizeof(said), "%s", text);
	return 0;
}

static void json(const char *key, const char *text, size_t length)
{
	printf(",\"%s\":\"", key);
	for (size_t at = 0; at < length && text[at]; at++) {
		unsigned char c = text[at];

		if (c == '"' || c == '\\')
			printf("\\%c", c);
		else if (c < 32 || c > 126)
			printf("\\u%04x", c);
		else
			putchar(c);
	}
	putchar('"');
}

static void number(const char *key, const char *text, const char *before)
{
	const char *found = strstr(text, before);

	if (found)
		printf(",\"%s\":%lld", key, strtoll(found + strlen(before), NULL, 10));
}

/* The slot of a line such as `12: (85) call bpf_get_prandom_u32#7`, or -1. */
static long slot_of(const char *line)
{
	char *end;
	long slot;

	if (!isdigit((unsigned char)*line))
		return -1;
	slot = strtol(line, &end, 10);
	if (strncmp(end, ": (", 3) || !isxdigit((unsigned char)end[3]) || !isxdigit((unsigned char)end[4]) || end[5] != ')')
		return -1;
	return slot;
}

/* Lines that say nothing of the reason. */
static bool is_statistics(const char *line)
{
	static const char *const STARTS[] = { "processed ", "verification time ", "stack depth ", "mark_precise", ";", "" };

	for (size_t at = 0; *STARTS[at]; at++)
		if (!strncmp(line, STARTS[at], strlen(STARTS[at])))
			return true;
	return !*line || *line == '\n';
}

static void show_log(bool whole)
{
	const char *stats = log_text, *message = NULL, *next;
	long slot = -1;

	/* The last ones: a kernel that verified twice prints them twice. */
	for (next = log_text; (next = strstr(next, "processed ")); next++)
		if (next == log_text || next[-1] == '\n')
			stats = next;
	number("insns_processed", stats, "processed ");
	number("total_states", stats, "total_states ");
	number("peak_states", stats, "peak_states ");
	number("verification_us", log_text, "verification time ");
	next = strstr(log_text, "stack depth ");
	if (next)
		json("stack_depth", next + 12, strcspn(next + 12, "\n"));
	for (const char *line = log_text; line && *line; line = next) {
		long here = slot_of(line);

		if (here >= 0)
			slot = here;
		else if (!is_statistics(line))
			message = line;
		next = strchr(line, '\n');
		next = next ? next + 1 : NULL;
	}
	if (message)
		json("message", message, strcspn(message, "\n"));
	if (whole && slot >= 0)
		printf(",\"insn\":%ld", slot);
}

/* Loads one program; the child's whole work. */
static void load(const char *path, int index, int level)
{
	LIBBPF_OPTS(bpf_object_open_opts, options);
	struct bpf_object *object = bpf_object__open_file(path, &options);
	struct bpf_program *program, *wanted = NULL;
	int at = 0, error;

	if (!object) {
		error = errno;
		printf(",\"verdict\":\"unloadable\",\"errno\":%d", error);
		json("message", said, sizeof(said));
		return;
	}
	bpf_object__for_each_program(program, object) {
		bool this = at++ == index;

		bpf_program__set_autoload(program, this);
		if (this)
			wanted = program;
	}
	bpf_program__set_log_buf(wanted, log_text, LOG_SIZE);
	bpf_program__set_log_level(wanted, level);
	printf(",\"program_type\":%d", bpf_program__type(wanted));
	error = -bpf_object__load(object);
	if (!error) {
		printf(",\"verdict\":\"accept\"");
		show_log(false);
	} else if (!reached) {
		printf(",\"verdict\":\"unloadable\",\"errno\":%d", error);
		json("message", said, strcspn(said, "\n"));
	} else {
		printf(",\"verdict\":\"reject\",\"errno\":%d", error);
		show_log(level == EVERYTHING);
	}
}

/* Runs the child; its standard output is ours. */
static bool in_child(const char *path, int index, int level, const char *name, const char *section)
{
	char line[8192];
	int ends[2], status;
	ssize_t count, length = 0;
	pid_t child;

	if (pipe(ends))
		return false;
	fflush(stdout);
	child = fork();
	if (!child) {
		dup2(ends[1], STDOUT_FILENO);
		close(ends[0]);
		close(ends[1]);
		alarm(PATIENCE);
		load(path, index, level);
		fflush(stdout);
		_exit(0);
	}
	close(ends[1]);
	while ((count = read(ends[0], line + length, sizeof(line) - 1 - length)) > 0)
		length += count;
	close(ends[0]);
	waitpid(child, &status, 0);
	line[length > 0 ? length : 0] = 0;
	/* Refused: once more, with the whole log. */
	if (level == STATISTICS && strstr(line, "\"verdict\":\"reject\""))
		return in_child(path, index, EVERYTHING, name, section);
	printf("{\"object\":\"%s\"", strrchr(path, '/') ? strrchr(path, '/') + 1 : path);
	json("program", name, strlen(name));
	json("section", section, strlen(section));
	if (!WIFEXITED(status) || WEXITSTATUS(status))
		printf(",\"verdict\":\"unloadable\",\"message\":\"the loader ended with status %#x\"", status);
	else
		fputs(line, stdout);
	puts("}");
	return true;
}

int main(int count, char **arguments)
{
	int bad = 0;

	libbpf_set_print(listen_to_libbpf);
	log_text = calloc(1, LOG_SIZE);
	if (!log_text)
		return 1;
	for (int at = 1; at < count; at++) {
		LIBBPF_OPTS(bpf_object_open_opts, options);
		struct bpf_object *object = bpf_object__open_file(arguments[at], &options);
		struct bpf_program *program;
		int index = 0;

		if (!object) {
			fprintf(stderr, "loader: %s: %s\n", arguments[at], said);
			said[0] = 0;
			bad++;
			continue;
		}
		said[0] = 0;
		bpf_object__for_each_program(program, object)
			in_child(arguments[at], index++, STATISTICS, bpf_program__name(program),
				 bpf_program__section_name(program));
		bpf_object__close(object);
	}
	fprintf(stderr, "loader: done, %d objects unread\n", bad);
	return 0;
}
