/* The independent loader: libbpf loads each program of each object alone, and one line of JSON says how it went.
 *
 *     loader [-p PART/PARTS] OBJECT...
 *
 * With -p every PARTS-th object alone, from the one of number PART on: so that several loaders share the work.
 *
 * A child process opens an object and lets libbpf load it. Our own syscall(), which libbpf is linked with, sees each
 * program on its way to the kernel, asks for the log's statistics first (log level 4, so that the kernel's own time is
 * not that of its log), then, if it was refused, for the whole log (level 5) to learn at which instruction, tells the
 * answer, and has libbpf believe that a refused program was loaded, so that it goes on to the next. Programs that were
 * not reached that way (libbpf gives an object up when one of its programs cannot be prepared) are then tried each in
 * a child of its own, with all others switched off. A child that dies spoils no other; a program that the kernel would
 * think about for hours is given up.
 *
 * It must not know the model.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

enum { STATISTICS = 4, EVERYTHING = 5, PATIENCE = 60, PATIENCE_WITH_ALL = 900, MOST_PROGRAMS = 4096, ALL = -1,
       TOLD_BY_PARENT = -2 };

/* The largest log that every kernel takes (UINT_MAX >> 8 up to 5.10). */
static const size_t LOG_SIZE = (1u << 24) - 1;

/* A program's log begins at its own number in here: so it is recognised on its way to the kernel. */
static char *logs;
static char said[512];
static const char *object_name;
static struct bpf_program *programs[MOST_PROGRAMS];

static int listen_to_libbpf(enum libbpf_print_level level, const char *format, va_list args)
{
	char text[1024];

	if (level != LIBBPF_WARN)
		return 0;
	vsnprintf(text, sizeof(text), format, args);
	/* The first complaint is the cause; those that follow say who was concerned. */
	if (!said[0] && !strstr(text, "-- BEGIN PROG LOAD LOG --"))
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

static void show_log(const char *log, bool whole)
{
	const char *stats = log, *message = NULL, *next;
	long slot = -1;

	/* The last ones: a kernel that verified twice prints them twice. */
	for (next = log; (next = strstr(next, "processed ")); next++)
		if (next == log || next[-1] == '\n')
			stats = next;
	number("insns_processed", stats, "processed ");
	number("total_states", stats, "total_states ");
	number("peak_states", stats, "peak_states ");
	number("verification_us", log, "verification time ");
	next = strstr(log, "stack depth ");
	if (next)
		json("stack_depth", next + 12, strcspn(next + 12, "\n"));
	for (const char *line = log; line && *line; line = next) {
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

/* The beginning of a program's line; its number comes first, for the parent. */
static void begin(int index, const char *name, const char *section)
{
	if (index != TOLD_BY_PARENT)
		printf("%d ", index);
	printf("{\"object\":\"%s\"", object_name);
	json("program", name, strlen(name));
	json("section", section, strlen(section));
}

static long raw(long number, long a, long b, long c, long d, long e, long f)
{
	register long r10 asm("r10") = d;
	register long r8 asm("r8") = e;
	register long r9 asm("r9") = f;
	long result;

	asm volatile("syscall"
		     : "=a"(result)
		     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
		     : "rcx", "r11", "memory");
	return result;
}

static volatile bool time_is_up;

/* The kernel gives up when a signal is pending. */
static void on_alarm(int signal)
{
	(void)signal;
	time_is_up = true;
}

/* Takes the place of libc's: what libbpf tells the kernel passes here. */
long syscall(long number, ...)
{
	union bpf_attr *attr;
	long a[6], result;
	int index, error;
	va_list more;
	char *log;

	va_start(more, number);
	for (int at = 0; at < 6; at++)
		a[at] = va_arg(more, long);
	va_end(more);
	attr = (void *)a[1];
	log = number == __NR_bpf && a[0] == BPF_PROG_LOAD ? (char *)attr->log_buf : NULL;
	if (log < logs || log >= logs + MOST_PROGRAMS)
		log = NULL;
	time_is_up = false;
	if (log)
		alarm(PATIENCE);
	result = raw(number, a[0], a[1], a[2], a[3], a[4], a[5]);
	error = result < 0 && result > -4096 ? -result : 0;
	if (!log || (error == EAGAIN && !time_is_up)) {
		errno = error;
		return error ? -1 : result;
	}
	alarm(0);
	index = log - logs;
	begin(index, bpf_program__name(programs[index]), bpf_program__section_name(programs[index]));
	if (time_is_up) {
		printf(",\"verdict\":\"unloadable\",\"message\":\"the kernel did not end within %u s\"", PATIENCE);
		if (error)
			result = open("/dev/null", O_RDWR | O_CLOEXEC);
	} else if (!error) {
		printf(",\"verdict\":\"accept\"");
		show_log(log, false);
	} else {
		/* The whole log takes longer; if too long, the instruction stays unknown. */
		alarm(4 * PATIENCE);
		attr->log_level = EVERYTHING;
		result = raw(number, a[0], a[1], a[2], a[3], a[4], a[5]);
		printf(",\"verdict\":\"reject\",\"errno\":%d", error);
		alarm(0);
		show_log(log, !time_is_up);
		if (result < 0)
			result = open("/dev/null", O_RDWR | O_CLOEXEC);
	}
	puts("}");
	fflush(stdout);
	*log = 0;
	return result;
}

/* Loads one program, or ALL; the child's whole work. */
static void load(const char *path, int wanted)
{
	LIBBPF_OPTS(bpf_object_open_opts, options);
	struct bpf_object *object = bpf_object__open_file(path, &options);
	struct bpf_program *program;
	int at = 0, error;

	if (!object)
		return;
	bpf_object__for_each_program(program, object) {
		programs[at] = program;
		bpf_program__set_autoload(program, wanted == ALL || at == wanted);
		bpf_program__set_log_buf(program, logs + at, LOG_SIZE);
		bpf_program__set_log_level(program, STATISTICS);
		at++;
	}
	error = -bpf_object__load(object);
	if (!error || wanted == ALL)
		return;
	begin(wanted, bpf_program__name(programs[wanted]), bpf_program__section_name(programs[wanted]));
	printf(",\"verdict\":\"unloadable\",\"errno\":%d", error);
	json("message", said, strcspn(said, "\n"));
	puts("}");
}

/* Runs a child, hands its lines on, and marks in `told` the programs that they are of; its status. */
static int in_child(const char *path, int wanted, bool *told)
{
	int ends[2], status = -1;
	char *line = NULL;
	size_t room = 0;
	pid_t child;
	FILE *from;

	if (pipe(ends))
		return -1;
	fflush(stdout);
	child = fork();
	if (!child) {
		dup2(ends[1], STDOUT_FILENO);
		close(ends[0]);
		close(ends[1]);
		(void)signal(SIGALRM, on_alarm);
		(void)signal(SIGPROF, SIG_DFL);
		setitimer(ITIMER_PROF, &(struct itimerval){ .it_value.tv_sec = PATIENCE_WITH_ALL }, NULL);
		load(path, wanted);
		fflush(stdout);
		_exit(0);
	}
	close(ends[1]);
	from = fdopen(ends[0], "r");
	while (from && getline(&line, &room, from) > 0) {
		char *rest;
		long index = strtol(line, &rest, 10);

		/* What a child said last before it was killed may be cut; what was refused twice is told once. */
		if (rest == line || index < 0 || index >= MOST_PROGRAMS || told[index] || !strchr(rest, '\n'))
			continue;
		told[index] = true;
		fputs(rest + 1, stdout);
	}
	free(line);
	if (from)
		fclose(from);
	waitpid(child, &status, 0);
	return status;
}

/* One object, all its programs. */
static bool judge(const char *path)
{
	LIBBPF_OPTS(bpf_object_open_opts, options);
	struct bpf_object *object = bpf_object__open_file(path, &options);
	static bool told[MOST_PROGRAMS];
	struct bpf_program *program;
	int index = 0;

	if (!object) {
		fprintf(stderr, "loader: %s: %s\n", path, said);
		said[0] = 0;
		return false;
	}
	said[0] = 0;
	object_name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
	memset(told, 0, sizeof(told));
	in_child(path, ALL, told);
	bpf_object__for_each_program(program, object) {
		if (index >= MOST_PROGRAMS)
			break;
		if (!told[index]) {
			int status = in_child(path, index, told);

			if (!told[index]) {
				begin(TOLD_BY_PARENT, bpf_program__name(program), bpf_program__section_name(program));
				printf(",\"verdict\":\"unloadable\",\"message\":\"the loader ended with status %#x\"}\n",
				       status);
			}
		}
		index++;
	}
	bpf_object__close(object);
	return true;
}

static void warm_up(const char *path)
{
	struct bpf_object *object = bpf_object__open_file(path, NULL);

	if (object)
		bpf_object__load(object);
	bpf_object__close(object);
	said[0] = 0;
}

int main(int count, char **arguments)
{
	int bad = 0, first = 1, part = 0, parts = 1;

	if (count > 3 && !strcmp(arguments[1], "-p")) {
		if (sscanf(arguments[2], "%d/%d", &part, &parts) != 2 || part < 0 || parts < 1)
			return 2;
		first = 3;
	}
	if (count <= first)
		return 2;
	libbpf_set_print(listen_to_libbpf);
	logs = calloc(1, LOG_SIZE + MOST_PROGRAMS);
	if (!logs)
		return 1;
	/* libbpf remembers what it has probed the kernel for; children inherit that. */
	warm_up(arguments[first]);
	for (int at = first + part; at < count; at += parts)
		bad += !judge(arguments[at]);
	fprintf(stderr, "loader: done, %d objects unread\n", bad);
	return 0;
}
