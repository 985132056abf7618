/* replay: gives a fuzzer the inputs that are kept, each once, without libFuzzer: so that what was found
 * stays mended on every machine that has a compiler. Linked with one x_fuzz.c.
 *
 * usage: FUZZER FILE...      prints how many inputs there were; dies as the fuzzer dies */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void replay(const char *path)
{
	FILE *f = fopen(path, "rb");
	uint8_t *bytes = NULL;
	size_t n = 0, room = 0;
	if (!f) {
		perror(path);
		exit(2);
	}
	do {
		room += 64 * 1024;
		bytes = realloc(bytes, room);
		if (!bytes)
			abort();
		n += fread(bytes + n, 1, room - n, f);
	} while (n == room);
	fclose(f);
	/* The last line of a log that breaks off names the input. */
	fprintf(stderr, "%s\n", path);
	LLVMFuzzerTestOneInput(bytes, n);
	free(bytes);
}

int main(int argc, char **argv)
{
	LLVMFuzzerTestOneInput((const uint8_t *)"", 0);
	for (int i = 1; i < argc; i++)
		replay(argv[i]);
	printf("%d inputs\n", argc - 1);
	return 0;
}
