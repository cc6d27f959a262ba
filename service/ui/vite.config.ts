import { readFileSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { brotliCompress, constants, gzip } from 'node:zlib'
import react from '@vitejs/plugin-react'
import type { Plugin } from 'vite'
import { defineConfig } from 'vitest/config'

/** react-aria brings its own words in some thirty languages; the interface speaks one. */
function oneLanguage(): Plugin {
  return {
    name: 'one-language',
    enforce: 'pre',
    load(id) {
      const other = /[\\/]react-(aria|stately|aria-components)[\\/].*[\\/](?!en-US)[a-z]{2}-[A-Z]{2}\.m?js$/
      return other.test(id) ? 'export default {}' : null
    },
  }
}

/** The theme that was chosen, set before anything is painted: a script of its own, as the policy allows none within the
 * page, and not a module, as these wait for the page. */
function theme(): Plugin {
  let reference = ''
  return {
    name: 'theme',
    buildStart() {
      if (this.environment.mode !== 'build') return
      reference = this.emitFile({
        type: 'asset',
        name: 'theme.js',
        source: readFileSync(new URL('src/shell/theme-first.js', import.meta.url), 'utf8'),
      })
    },
    transformIndexHtml: {
      order: 'post',
      handler(_html, context) {
        const src = context.server
          ? '/src/shell/theme-first.js'
          : `/${reference && context.bundle ? emitted(context.bundle) : ''}`
        return [{ tag: 'script', attrs: { src }, injectTo: 'head-prepend' }]
      },
    },
  }
}

function emitted(bundle: object): string {
  return Object.keys(bundle).find((name) => /assets\/theme-[^/]*\.js$/.test(name)) ?? ''
}

/** Beside each file its compressed forms, once and as small as can be, for the service to send. From what was written:
 * Vite changes chunks after every plugin. */
function compressed(): Plugin {
  return {
    name: 'compressed',
    apply: 'build',
    async writeBundle({ dir = 'dist' }, bundle) {
      const quality = { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } }
      const names = Object.keys(bundle).filter((name) => /\.(js|css|html|svg)$/.test(name))
      await Promise.all(
        names.map(async (name) => {
          const file = join(dir, name)
          const source = await readFile(file)
          await writeFile(`${file}.br`, await promisify(brotliCompress)(source, quality))
          await writeFile(`${file}.gz`, await promisify(gzip)(source, { level: 9 }))
        }),
      )
    },
  }
}

const service = process.env.SERVICE ?? 'http://127.0.0.1:8080'

export default defineConfig({
  plugins: [oneLanguage(), react(), theme(), compressed()],
  build: {
    target: ['chrome123', 'edge123', 'firefox128', 'safari17.5'],
    manifest: true,
    assetsInlineLimit: 0,
    reportCompressedSize: false,
    modulePreload: { polyfill: false },
  },
  server: {
    proxy: Object.fromEntries(
      ['/api', '/auth', '/docs', '/openapi.json'].map((path) => [
        path,
        {
          target: service,
          changeOrigin: true,
          // The service refuses what a page of another origin sends, and the development server is one.
          configure: (proxy) => proxy.on('proxyReq', (request) => request.removeHeader('origin')),
        },
      ]),
    ),
  },
  test: { include: ['src/**/*.test.ts'], environment: 'node' },
})
