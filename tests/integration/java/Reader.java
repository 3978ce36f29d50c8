// SPDX-License-Identifier: Apache-2.0
// Reads topics whole with Kafka's own Java consumer, from the first offset to the end as it was at the start.
//
//   java -cp "$(tools/kafka class-path)" tests/integration/java/Reader.java [--digest] [--committed] BOOTSTRAP TOPIC...
//
// Prints a line a record, in the order of offsets, partition after partition:
//
//   topic partition offset timestamp key value header=value,header=value
//
// in hex but for topic and numbers; "null" is null, "-" is empty (and no headers). With --digest instead, a line
// a partition: topic partition records first last sha256, the digest being over the record lines with their line
// ends. --committed leaves out what an aborted transaction wrote. A broken record ends the program with status 1.
import java.io.BufferedOutputStream;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.PartitionInfo;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

public class Reader {
	private static final Duration POLL = Duration.ofMillis(500);
	private static final long STALL_MS_MAX = 30_000;
	private static final HexFormat HEX = HexFormat.of();

	private final KafkaConsumer<byte[], byte[]> consumer;
	private final OutputStream out;
	private final boolean digest;

	private Reader(KafkaConsumer<byte[], byte[]> consumer, OutputStream out, boolean digest) {
		this.consumer = consumer;
		this.out = out;
		this.digest = digest;
	}

	private static String bytes(byte[] data) {
		return data == null ? "null" : data.length == 0 ? "-" : HEX.formatHex(data);
	}

	private static String headers(Iterable<Header> headers) {
		StringBuilder text = new StringBuilder();
		for (Header header : headers) {
			text.append(text.length() == 0 ? "" : ",");
			text.append(bytes(header.key().getBytes(StandardCharsets.UTF_8))).append('=').append(bytes(header.value()));
		}
		return text.length() == 0 ? "-" : text.toString();
	}

	private static byte[] line(ConsumerRecord<byte[], byte[]> record) {
		String text = record.topic() + ' ' + record.partition() + ' ' + record.offset() + ' ' + record.timestamp() + ' '
				+ bytes(record.key()) + ' ' + bytes(record.value()) + ' ' + headers(record.headers()) + '\n';
		return text.getBytes(StandardCharsets.UTF_8);
	}

	private void readPartition(TopicPartition partition, long end) throws Exception {
		MessageDigest sha = MessageDigest.getInstance("SHA-256");
		long records = 0, first = -1, last = -1;
		consumer.assign(List.of(partition));
		consumer.seekToBeginning(List.of(partition));
		long progressMs = System.currentTimeMillis();
		for (long at = consumer.position(partition); at < end;) {
			ConsumerRecords<byte[], byte[]> polled = consumer.poll(POLL);
			for (ConsumerRecord<byte[], byte[]> record : polled.records(partition)) {
				if (record.offset() >= end)
					break;
				byte[] line = line(record);
				if (digest)
					sha.update(line);
				else
					out.write(line);
				first = records++ == 0 ? record.offset() : first;
				last = record.offset();
			}
			long position = consumer.position(partition);
			progressMs = position > at ? System.currentTimeMillis() : progressMs;
			at = position;
			if (System.currentTimeMillis() - progressMs > STALL_MS_MAX)
				throw new IllegalStateException(partition + ": no progress at offset " + at + " of " + end);
		}
		if (digest)
			out.write(String.format("%s %d %d %d %d %s%n", partition.topic(), partition.partition(), records, first, last,
					HEX.formatHex(sha.digest())).getBytes(StandardCharsets.UTF_8));
	}

	private List<TopicPartition> partitions(String topic) {
		List<TopicPartition> found = new ArrayList<>();
		List<PartitionInfo> infos = consumer.partitionsFor(topic);
		if (infos == null || infos.isEmpty())
			throw new IllegalStateException("no topic " + topic);
		for (PartitionInfo info : infos)
			found.add(new TopicPartition(topic, info.partition()));
		found.sort((a, b) -> Integer.compare(a.partition(), b.partition()));
		return found;
	}

	private void readTopic(String topic) throws Exception {
		List<TopicPartition> partitions = partitions(topic);
		Map<TopicPartition, Long> ends = consumer.endOffsets(partitions);
		for (TopicPartition partition : partitions)
			readPartition(partition, ends.get(partition));
	}

	private static Properties properties(String bootstrap, boolean committed) {
		Properties properties = new Properties();
		properties.put("bootstrap.servers", bootstrap);
		properties.put("enable.auto.commit", "false");
		properties.put("auto.offset.reset", "earliest");
		properties.put("allow.auto.create.topics", "false");
		properties.put("check.crcs", "true");
		properties.put("isolation.level", committed ? "read_committed" : "read_uncommitted");
		properties.put("max.poll.records", "20000");
		properties.put("fetch.max.bytes", "52428800");
		// A broker answers one fetch at a time: the next partition waits for what is asked beyond the end of this one.
		properties.put("fetch.max.wait.ms", "5");
		properties.put("max.partition.fetch.bytes", "16777216");
		return properties;
	}

	public static void main(String[] args) throws Exception {
		List<String> words = new ArrayList<>(List.of(args));
		boolean digest = words.remove("--digest");
		boolean committed = words.remove("--committed");
		if (words.size() < 2 || words.get(0).startsWith("-")) {
			System.err.println("usage: Reader [--digest] [--committed] BOOTSTRAP TOPIC...");
			System.exit(2);
		}
		ByteArrayDeserializer plain = new ByteArrayDeserializer();
		try (OutputStream out = new BufferedOutputStream(new FileOutputStream(FileDescriptor.out), 1 << 20);
				KafkaConsumer<byte[], byte[]> consumer =
						new KafkaConsumer<>(properties(words.get(0), committed), plain, plain)) {
			Reader reader = new Reader(consumer, out, digest);
			for (String topic : words.subList(1, words.size()))
				reader.readTopic(topic);
		}
	}
}
