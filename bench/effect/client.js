// SPDX-License-Identifier: MIT
// A client whose agent keeps no connection: node client.js http LOG SECONDS PORT HOST... 8 requests at a time.
// Writes to LOG a line a request, as client.php does.
const fs = require('fs')
const http = require('http')

const [, , , path, seconds, port, ...hosts] = process.argv
const agent = new http.Agent({ keepAlive: false })
const end = Date.now() + seconds * 1000
const log = fs.openSync(path, 'w')
let number = 0

function next() {
    const begin = Date.now(), from = process.hrtime.bigint()
    if (begin >= end)
        return
    const done = ok => {
        fs.writeSync(log, `${begin * 1000}\t${ok ? 200 : -1}\t${(process.hrtime.bigint() - from) / 1000n}\n`)
        next()
    }
    const host = hosts[number++ % hosts.length].replace(/[[\]]/g, '')
    http.get({ host, port, agent, timeout: 5000 }, answer => {
        answer.resume()
        answer.on('end', () => done(answer.statusCode === 200))
    }).on('error', () => done(false))
}

for (let n = 0; n < 8; n++)
    next()
