// The phase `member` of kafkajs: a member of a consumer group that tells what happens to it, a line for each thing.

'use strict'

const { Kafka, logLevel } = require('kafkajs')

module.exports = async function member(options) {
  const kafka = new Kafka({ clientId: 'levada-conformance', brokers: [options.bootstrap], logLevel: logLevel.NOTHING })
  const consumer = kafka.consumer({
    groupId: options.group,
    sessionTimeout: Number(options['session-ms']),
    heartbeatInterval: Math.floor(Number(options['session-ms']) / 6),
    rebalanceTimeout: Number(options['session-ms']),
    maxWaitTimeInMs: 100,
  })
  let owned = []
  const give = () => {
    if (owned.length > 0) say('gave', ...owned)
    owned = []
  }
  consumer.on(consumer.events.REBALANCING, give)
  consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
    give()
    owned = payload.memberAssignment[options.topic] ?? []
    say('gained', ...owned)
  })
  await consumer.connect()
  await consumer.subscribe({ topics: [options.topic], fromBeginning: true })
  await consumer.run({
    autoCommit: false,
    eachBatch: async ({ batch, resolveOffset, heartbeat, commitOffsetsIfNecessary, uncommittedOffsets }) => {
      for (const message of batch.messages) {
        say('record', batch.partition, message.offset)
        resolveOffset(message.offset)
      }
      try {
        await commitOffsetsIfNecessary(uncommittedOffsets())
      } catch (error) {
        // Whoever gets the partition reads it again.
        if (!['REBALANCE_IN_PROGRESS', 'ILLEGAL_GENERATION', 'UNKNOWN_MEMBER_ID'].includes(error.type)) throw error
      }
      await heartbeat()
    },
  })
  await new Promise((resolve) => process.stdin.resume().on('end', resolve))
  await consumer.disconnect()
  say('left')
}

function say(...words) {
  require('fs').writeSync(1, [Date.now(), ...words, '.'].join(' ') + '\n')
}
