// push.js URL CLIENT COUNT - log COUNT lines with one of the clients, then end.
// CLIENT: winston-json, winston-protobuf or pino.
'use strict'

const [url, client, count] = [process.argv[2], process.argv[3], Number(process.argv[4])]
const line = (i) => `${client} line ${i} "quoted" \u00e9\u4e16\u{1F600}`

async function winston (json) {
  const { createLogger, format } = require('winston')
  const LokiTransport = require('winston-loki')
  const failed = (error) => { console.error('winston-loki:', error); process.exitCode = 1 }
  const transport = new LokiTransport({
    host: url, json, batching: true, interval: 1, labels: { app: client }, format: format.simple(),
    replaceTimestamp: false, onConnectionError: failed, gracefulShutdown: false
  })
  const logger = createLogger({ transports: [transport] })
  for (let i = 0; i < count; i++) logger.info({ message: line(i), labels: { part: String(i % 2) } })
  await new Promise((resolve) => setTimeout(resolve, 500))
  await transport.flush()
}

async function pino () {
  const pino = require('pino')
  const { pinoLoki } = require('pino-loki')
  const stream = pinoLoki({ host: url, batching: { interval: 1 }, labels: { app: client }, silenceErrors: false })
  const logger = pino({ level: 'info' }, stream)
  for (let i = 0; i < count; i++) logger.info(line(i))
  await new Promise((resolve) => setTimeout(resolve, 500))
  await new Promise((resolve) => { stream.once('close', resolve); stream.end(); setTimeout(resolve, 5000) })
}

const run = { pino, 'winston-json': () => winston(true), 'winston-protobuf': () => winston(false) }[client]
run().then(() => setTimeout(() => process.exit(), 300), (error) => { console.error(error); process.exit(1) })
