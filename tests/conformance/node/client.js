// kafkajs: produces and administers, and is a member of groups. It does not consume without one.

'use strict'

const fs = require('fs')
const { Kafka, CompressionTypes, CompressionCodecs, logLevel } = require('kafkajs')

const codecs = { none: CompressionTypes.None, gzip: CompressionTypes.GZIP, snappy: CompressionTypes.Snappy }
CompressionCodecs[CompressionTypes.Snappy] = require('kafkajs-snappy')

// How much goes into one request, in bytes of values.
const BATCH_BYTES = 512 * 1024

main().catch((error) => {
  console.error(error)
  process.exit(1)
})

async function main() {
  const [phase, ...rest] = process.argv.slice(2)
  const options = {}
  for (let i = 0; i < rest.length; i += 2) options[rest[i].replace(/^--/, '')] = rest[i + 1]
  if (phase === 'member') return require('./member')(options)
  const corpus = fs.readFileSync(options.corpus, 'utf8').trimEnd().split('\n').map((line, index) => {
    const [key, path] = line.split('\t')
    return { index, key, value: fs.readFileSync(path) }
  })
  const kafka = new Kafka({ clientId: 'levada-conformance', brokers: [options.bootstrap], logLevel: logLevel.ERROR })

  if (phase === 'produce') {
    await administer(kafka, options.topic)
    let acknowledged = 0
    await produce(kafka, options, corpus, false, () => { acknowledged += 1 })
    if (acknowledged !== corpus.length) throw new Error(`${acknowledged} of ${corpus.length} records were acknowledged`)
  } else if (phase === 'produce-endlessly') {
    await produce(kafka, options, corpus, true, (partition, offset, index) => {
      fs.writeSync(1, `${partition} ${offset} ${index} .\n`)
    })
  } else {
    throw new Error(`kafkajs has no phase ${phase}`)
  }
}

// Creates the topic, and looks at what was created.
async function administer(kafka, topic) {
  const admin = kafka.admin()
  await admin.connect()
  const created = await admin.createTopics({
    topics: [{ topic, numPartitions: 2, replicationFactor: 1, configEntries: [{ name: 'retention.ms', value: '-1' }] }],
  })
  check(created, `${topic} was there already`)
  await admin.createPartitions({ topicPartitions: [{ topic, count: 3 }] })
  const { topics } = await admin.fetchTopicMetadata({ topics: [topic] })
  check(topics[0].partitions.length === 3, `${topic} has ${topics[0].partitions.length} partitions`)
  const { resources } = await admin.describeConfigs({
    includeSynonyms: true,
    resources: [{ type: 2, name: topic, configNames: ['retention.ms'] }],
  })
  check(resources[0].configEntries[0].configValue === '-1', 'retention.ms is not what was set')
  check((await admin.describeCluster()).brokers.length === 1, 'one broker was expected')
  await admin.disconnect()
}

// A batch at a time to one explicit partition, so that the answer's base offset tells the place of each record.
async function produce(kafka, options, corpus, endless, acknowledged) {
  const producer = kafka.producer({ allowAutoTopicCreation: false })
  await producer.connect()
  let partition = 0
  do {
    for (const batch of batches(corpus)) {
      partition = (partition + 1) % 3
      const [answer] = await producer.send({
        topic: options.topic,
        acks: -1,
        compression: codecs[options.compression],
        messages: batch.map(({ key, value }) => ({ key, value, partition })),
      })
      check(answer.errorCode === 0 && answer.partition === partition, `an answer of ${JSON.stringify(answer)}`)
      batch.forEach(({ index }, i) => acknowledged(partition, BigInt(answer.baseOffset) + BigInt(i), index))
    }
  } while (endless)
  await producer.disconnect()
}

function* batches(corpus) {
  let batch = []
  let bytes = 0
  for (const entry of corpus) {
    if (batch.length > 0 && bytes + entry.value.length > BATCH_BYTES) {
      yield batch
      batch = []
      bytes = 0
    }
    batch.push(entry)
    bytes += entry.value.length
  }
  if (batch.length > 0) yield batch
}

function check(condition, message) {
  if (!condition) throw new Error(message)
}
