import react from '@vitejs/plugin-react';
import { fileURLToPath } from 'node:url';

// The editor of queries comes along with Grafana's components, is large, and is drawn nowhere.
const nothing = fileURLToPath(new URL('./empty.js', import.meta.url));

export default {
  plugins: [react()],
  base: './',
  define: { 'process.env': {}, global: 'globalThis' },
  resolve: { alias: { 'react-monaco-editor': nothing, 'monaco-editor': nothing, 'monaco-promql': nothing } },
  build: { chunkSizeWarningLimit: 100000, minify: false, target: 'esnext' },
};
