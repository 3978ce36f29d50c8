// SPDX-License-Identifier: Apache-2.0
// The partition that Kafka's own Java producer gives each key.
//
//   printf '%s\n' 6b6579 "" | java -cp "$(tools/kafka class-path)" tests/integration/java/Partition.java 12
//
// Keys come on stdin in hex, a line each; an empty line is the empty key. A partition a line goes to stdout.
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.util.HexFormat;
import org.apache.kafka.clients.producer.internals.BuiltInPartitioner;

public class Partition {
	public static void main(String[] args) throws Exception {
		if (args.length != 1) {
			System.err.println("usage: Partition PARTITIONS <keys-in-hex");
			System.exit(2);
		}
		int partitions = Integer.parseInt(args[0]);
		HexFormat hex = HexFormat.of();
		StringBuilder out = new StringBuilder();
		BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
		for (String line = in.readLine(); line != null; line = in.readLine())
			out.append(BuiltInPartitioner.partitionForKey(hex.parseHex(line.strip()), partitions)).append('\n');
		PrintStream stdout = new PrintStream(new java.io.FileOutputStream(java.io.FileDescriptor.out), false);
		stdout.print(out);
		stdout.flush();
	}
}
